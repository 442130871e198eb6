#!/usr/bin/env node
import { runMain } from './main.js'
import { pcacheProgram } from './pcache/action.js'
import { manage } from './pcache/manage.js'

await runMain(pcacheProgram(manage))
