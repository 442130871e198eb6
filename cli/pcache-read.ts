#!/usr/bin/env node
import { runMain } from './main.js'
import { pcacheProgram } from './pcache/action.js'
import { read } from './pcache/read.js'

await runMain(pcacheProgram(read))
