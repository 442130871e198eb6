#!/usr/bin/env node
import { runMain } from './main.js'
import { pcacheProgram } from './pcache/action.js'
import { monitor } from './pcache/monitor.js'

await runMain(pcacheProgram(monitor))
