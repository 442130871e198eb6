#!/usr/bin/env node
import { runMain } from './main.js'
import { processor } from './pcache/processor.js'

await runMain(processor)
