#!/usr/bin/env node
import { runMain } from './main.js'
import { programOf } from './program.js'

await runMain({ name: 'millrace', programOf })
