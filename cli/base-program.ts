import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import type { Session } from './session.js'

function version(): string {
  const manifest = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('millrace/package.json')), 'utf8')) as { version: string }
  return manifest.version
}

/** What every program has in common: `--version`, where its output goes, how it complains. Options and commands are added by the caller. */
export function baseProgram(name: string, session: Session, { json }: { json: boolean }): Command {
  const program = new Command(name)
    .version(version(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: text => session.stdout.write(session.redact(text)),
      writeErr: text => session.stderr.write(session.redact(text)),
      // with --json the error is printed as data, by whoever catches it
      outputError: (text, write) => { if (!json) write(text.replace(/^error: /, `${name}: `)) }
    })
    .showSuggestionAfterError()
    // excess arguments are named below
    .allowExcessArguments()
  program.hook('preAction', (_, command) => {
    const excess = command.args[command.registeredArguments.length]
    if (excess === undefined) return
    command.error(`error: unexpected argument '${excess}'`)
  })
  return program
}
