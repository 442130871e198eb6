#!/usr/bin/env node
import { runMain } from './main.js'
import { pcacheProgram } from './pcache/action.js'
import { add } from './pcache/add.js'

await runMain(pcacheProgram(add))
