/**
 * Attacks on what the library promises: each directory beside this file is one campaign.
 * `npm run campaign -- faults --runs 200` passes everything behind the name to that campaign.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Campaign } from './campaign.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(directory, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort()

const [name = '', ...argv] = process.argv.slice(2)
if (names.includes(name)) {
  const { campaign } = (await import(`./${name}/index.ts`)) as { campaign: Campaign }
  process.exitCode = (await campaign(argv)) ? 0 : 1
} else {
  console.error(`Usage: npm run campaign -- ${names.join('|')} [options]; --help after the name shows its options.`)
  process.exitCode = 2
}
