import { InvalidArgumentError as InvalidOption, Option } from 'commander'
import type { DecomposeOptions } from '../../lib/partition/decompose.js'
import { count } from '../options.js'

/** Options that say which fragments a query is decomposed into. */
export interface VariantOptions {
  minComponentSize?: number
  maxComponentSize?: number
  followGraph?: boolean
  starJoinTable?: string
  recompose?: boolean
  bucketSteps?: number
  addConstraints?: Record<string, string>
  removeConstraintsAll?: string[]
  removeConstraintsAdd?: string[]
  pureFunction?: string[]
}

function truth(text: string): boolean {
  if (/^(true|1|yes)$/i.test(text)) return true
  if (/^(false|0|no)$/i.test(text)) return false
  throw new InvalidOption('Expected true or false.')
}

function step(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidOption('Expected a number from 0.')
  return value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function names(text: string): string[] {
  const value = parsed(text)
  if (Array.isArray(value) && value.every(name => typeof name === 'string')) return value
  throw new InvalidOption('Expected a JSON list of column names, such as ["size"].')
}

function conditions(text: string): Record<string, string> {
  const value = parsed(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(one => typeof one === 'string')) return value as Record<string, string>
  throw new InvalidOption('Expected a JSON object of conditions by table, such as {"poi": "size = 4"}.')
}

/** The options that say which fragments are made. */
export function variantOptions(): Option[] {
  const option = (flags: string, description: string): Option => new Option(flags, description)
  return [
    option('--min-component-size <count>', 'tables per fragment at least (default 1)').argParser(count(1)),
    option('--max-component-size <count>', 'tables per fragment at most (default 15)').argParser(count(1)),
    option('--follow-graph <bool>', 'only tables that conditions connect (default true)').argParser(truth),
    option('--star-join-table <name>', 'a table whose conditions enter every fragment'),
    option('--no-recompose', 'one fragment only: all of the query'),
    option('--bucket-steps <number>', 'also widen the limits of computed values to multiples of this (default 0: not)').argParser(step),
    option('--add-constraints <json>', 'also with these conditions, by table').argParser(conditions),
    option('--remove-constraints-all <json>', 'always without the conditions on these columns').argParser(names),
    option('--remove-constraints-add <json>', 'also without the conditions on these columns').argParser(names),
    option('--pure-function <name...>', 'a function of your own that answers the same for the same arguments')
  ]
}

/** The options in `decompose`'s words. */
export function variantsOf({ minComponentSize, maxComponentSize, followGraph, starJoinTable, recompose, bucketSteps, addConstraints, removeConstraintsAll, removeConstraintsAdd, pureFunction }: VariantOptions): Omit<DecomposeOptions, 'partitionKey'> {
  return { minComponentSize, maxComponentSize, followGraph, starJoinTable, recompose, bucketSteps, addConstraints, removeConstraintsAll, removeConstraintsAdd, pureFunctions: pureFunction }
}
