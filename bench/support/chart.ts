interface Chart {
  title: string
  groups: readonly { label: string, bars: readonly { series: string, value: number }[] }[]
}

const COLOURS: Record<string, string> = { millrace: '#0b6e4f', duckdb: '#e0a800', polars: '#3a6ea5', hyparquet: '#999999' }
const [LABEL, WIDTH, BAR, GAP] = [150, 620, 14, 12]

/** Horizontal bars in groups, as SVG. Each group has its own scale: its longest bar is the full width. */
export function barChart({ title, groups }: Chart): string {
  const parts: string[] = []
  let y = 30
  for (const { label, bars } of groups) {
    const most = Math.max(...bars.map(({ value }) => value))
    parts.push(text(LABEL - 8, y + bars.length * BAR / 2 + 4, label, 'end'))
    for (const { series, value } of bars) {
      const length = Math.max(1, value / most * (WIDTH - LABEL - 130))
      parts.push(`<rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[series] ?? '#666666'}"/>`,
        text(LABEL + length + 5, y + BAR - 4, `${series} ${Math.round(value).toLocaleString('en')}`, 'start'))
      y += BAR
    }
    y += GAP
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="10" y="18" font-size="13">${escape(title)}</text>
${parts.join('\n')}
</svg>
`
}

function text(x: number, y: number, content: string, anchor: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escape(content)}</text>`
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
