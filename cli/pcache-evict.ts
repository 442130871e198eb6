#!/usr/bin/env node
import { runMain } from './main.js'
import { pcacheProgram } from './pcache/action.js'
import { evict } from './pcache/evict.js'

await runMain(pcacheProgram(evict))
