import type { Command } from 'commander'
import { withCacheUntilSignal } from '../cache.js'
import { EXIT } from '../failure.js'
import { cacheDirOption, examples, jsonOption, type CacheOptions } from '../options.js'
import { jsonLine } from '../output/json.js'
import { counted } from '../output/text.js'
import { print, type Session } from '../session.js'

/** `millrace cache verify`: check every file. */
export function addVerify(parent: Command, session: Session): void {
  const command = parent.command('verify').summary('check every file').description('Read every file of the cache whole and compare it with its checksum. Changes nothing.\nExits with 1 when something is damaged.')
    .addOption(cacheDirOption()).addOption(jsonOption())
    .action((options: CacheOptions) => verify(options, session))
  examples(command, 'Examples', [['millrace cache verify || millrace cache repair', 'check, and drop what is bad']])
}

async function verify(options: CacheOptions, session: Session): Promise<void> {
  await withCacheUntilSignal(options, session, async cache => {
    const result = await cache.verify()
    if (options.json) print(session, jsonLine(result))
    else {
      for (const { table, file, kind, detail } of result.problems) print(session, `${table}: ${kind}: ${detail.includes(file) ? detail : `${file}: ${detail}`}`)
      print(session, `${counted(result.checked, 'file')} checked, ${result.ok ? 'all as written' : `${counted(result.problems.length, 'problem')}; \`millrace cache repair\` drops what is bad`}`)
    }
    if (!result.ok) session.exitCode = EXIT.failure
  })
}
