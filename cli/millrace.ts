#!/usr/bin/env node
import { main } from './main.js'

const code = await main(process.argv.slice(2))
process.exitCode = code
// after a signal the process ends now, whatever is still open
if (code > 128) process.exit(code)
