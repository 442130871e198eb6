let generationAllowed = true
const families = new Set<{ clear(): void }>()

/** Switch code generation off (or on again): rows are then read and made by plain assignment, about five times slower. */
export function allowCodeGeneration(allowed: boolean): void {
  generationAllowed = allowed
  for (const family of families) family.clear()
}

interface Family<Key, Made> {
  /** Parameters and body; what comes from outside enters it as `JSON.stringify`ed literals only. */
  code: (key: Key) => { parameters: readonly string[], body: string }
  /** The same without generated code. */
  plain: (key: Key) => Made
}

/** Functions kept of one family. */
const MAX_FUNCTIONS = 64

/**
 * Functions that are generated for a key, because V8 is fastest with property names that are part of the code. Where code generation
 * is forbidden (`--disallow-code-generation-from-strings`) or switched off, plain ones take their place.
 */
export class GeneratedFunctions<Key, Made> {
  readonly #made = new Map<string, Made>()
  readonly #family: Family<Key, Made>

  constructor(family: Family<Key, Made>) {
    this.#family = family
    families.add(this.#made)
  }

  for(key: Key): Made {
    const text = JSON.stringify(key)
    const known = this.#made.get(text)
    if (known) return known
    const made = this.#generate(key) ?? this.#family.plain(key)
    if (this.#made.size >= MAX_FUNCTIONS) this.#made.clear()
    this.#made.set(text, made)
    return made
  }

  #generate(key: Key): Made | undefined {
    if (!generationAllowed) return undefined
    const { parameters, body } = this.#family.code(key)
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the one place that generates code; see SECURITY.md
      return new Function(...parameters, body) as Made
    } catch {
      generationAllowed = false
      return undefined
    }
  }
}
