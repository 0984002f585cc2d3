import { fleetRows, gceRows, inFlightRows } from './fleet/report.ts'
import { markdownTable } from './markdown.ts'
import { markedSsh } from './readme.ts'
import { type BenchResults, type GrowthSummary, goalsOf, isBusy, kilobytes, type VariantSummary } from './results.ts'
import { sshMethods, sshReadme, sshRows } from './ssh/tables.ts'
import type { Spread } from './statistics.ts'

/** Lines of a table for a terminal; the first row is the head. */
function textTable(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const [head = [], ...body] = rows
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...body.map(line)]
}

const methods = [
  'Growth: the same filesystem is made anew for each measurement, of a sparse image on a loop device, and synced. Ours, the bare tool and mount-utils’ commands',
  '(blockdev --getro, blkid -p twice, the tool) take turns round by round, all from one Node.js process that has run each of them before, through the built',
  'package. Figures are medians (least–most); ratios are of neighbours in one round to the bare tool. Stalls: of a process that appends 4 KiB and syncs',
  'without a pause, its longest round in a growth of its own, looked for in a time that is as long for every variant. First call: the growth is the first thing a fresh process does after its imports.',
] as const

const titles = { ours: 'volume-expander', tool: 'bare tool', mountUtils: 'mount-utils' } as const

/** All that was measured, for a terminal. */
export function report(results: BenchResults): readonly string[] {
  const lines: string[] = []
  const section = (title: string, body: readonly string[]): void => void lines.push('', title, '', ...body)
  if (results.growth.length > 0)
    section('Growth', [...textTable(growthRows(results.growth)), '', ...methods, ...countingOf(results)])
  const { imports, sizes, fleet, ssh } = results
  if (fleet !== undefined) {
    section('Fleets of EBS volumes on an emulated EC2, all at once', textTable(fleetRows(fleet)))
    section('Fleets of GCE disks on an emulated Compute Engine, all at once', textTable(gceRows(fleet)))
    section('In flight at once, over real connections', textTable(inFlightRows(fleet)))
  }
  if (ssh !== undefined) section('Growth over SSH', [...textTable(sshRows(ssh)), '', ...sshMethods, ssh.client])
  if (imports !== undefined) {
    section('Import of the package root in a fresh process', [
      `bare Node.js ${range(imports.bare)} ms; with the import ${range(imports.withPackage)} ms`,
      `over bare Node.js ${range(imports.over)} ms, pair by pair; as the import itself sees it ${range(imports.inside)} ms`,
      `loaded: ${imports.modules.length} files of the package, ${imports.builtins} further modules of Node.js, ${imports.thirdParty.length} of third parties`,
    ])
  }
  if (sizes.length > 0) {
    const rows = sizes.map(({ entry, loaded, whole }) => [
      entry,
      kilobytes(loaded.minifiedBytes),
      kilobytes(loaded.gzippedBytes),
      `${loaded.modules}`,
      kilobytes(whole.gzippedBytes),
      `${whole.modules}`,
    ])
    const head = ['entry', 'minified', 'gzipped', 'modules', 'with all that calls load, gzipped', 'modules']
    section('Size of each entry, bundled alone by esbuild', textTable([head, ...rows]))
  }
  const goals = goalsOf(results).map(({ what, limit, measured, reached }) => [
    what,
    limit,
    measured,
    reached ? 'yes' : 'NO',
  ])
  if (goals.length > 0) section('Goals', textTable([['', 'at most', 'measured', 'reached'], ...goals]))
  if (isBusy(results)) {
    const load = results.loadBefore.toFixed(1)
    section('Not to be relied on', [
      `The machine was busy with other things: a load of ${load} on ${results.processors} processors.`,
    ])
  }
  if (results.leftOut.length > 0) section('Left out', results.leftOut)
  return lines
}

const counted = 'Processes: counted by the kernel, in a PID namespace of the run’s own, with those that a child starts.'

function countingOf({ growth }: BenchResults): readonly string[] {
  const byKernel = growth.every(({ countedByKernel }) => countedByKernel)
  return byKernel
    ? [counted]
    : [`${counted} Offline and without root: as Node.js starts them, without those that a child starts.`]
}

function growthRows(growth: readonly GrowthSummary[]): readonly (readonly string[])[] {
  const rows = growth.flatMap(({ name, where, variants }) =>
    (['ours', 'tool', 'mountUtils'] as const).flatMap((variant) => {
      const summary = variants[variant]
      if (summary === undefined) return []
      const { processes, milliseconds, ratio, stall, stallRatio, stallBefore, cold, coldRatio } = summary
      return [
        [
          variant === 'ours' ? `${name} (${where})` : '',
          titles[variant],
          processes.least === processes.most ? `${processes.most}` : range(processes, 0),
          range(milliseconds),
          times(ratio),
          range(stall),
          times(stallRatio),
          range(stallBefore),
          range(cold),
          times(coldRatio),
        ],
      ]
    }),
  )
  return [
    ['', '', 'processes', 'ms', '× tool', 'longest stall, ms', '× tool', 'before', 'first call, ms', '× tool'],
    ...rows,
  ]
}

function range(spread: Spread | undefined, digits = 1): string {
  if (spread === undefined) return ''
  const { median, least, most } = spread
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

function times(spread: Spread | undefined): string {
  return range(spread, 2)
}

/** The part of the README between its markers: online growth, and what loading costs. */
export function readmePart(results: BenchResults): readonly string[] {
  const { growth, imports, sizes, ssh } = results
  const cell = (summary: VariantSummary | undefined): string => {
    if (summary === undefined) return ''
    const { processes, milliseconds, stall } = summary
    const parts = [`${processes.most}`, `${milliseconds.median.toFixed(1)} ms`]
    return [...parts, ...(stall === undefined ? [] : [`${stall.median.toFixed(1)} ms`])].join(' / ')
  }
  const rows = growth
    .filter(({ name }) => name.includes('online'))
    .map(({ name, where, variants: { ours, tool, mountUtils } }) => [
      where === 'this kernel' ? name : `${name}¹`,
      cell(ours),
      cell(tool),
      cell(mountUtils),
      ours?.ratio === undefined || growth.length === 0 ? '' : `${ours.ratio.median.toFixed(2)} ×`,
    ])
  const core = sizes.find(({ entry }) => entry === '.')
  const inUml = growth.find(({ where }) => where !== 'this kernel')
  const here = growth.find(({ where }) => where === 'this kernel')
  const footnote = inUml === undefined ? '' : ` ¹ In User-Mode Linux, kernel ${inUml.kernel}.`
  return [
    'Processes / wall time / longest stall of another process that appends 4 KiB and syncs all the while:',
    '',
    ...markdownTable([['', 'this library', 'bare tool', 'Kubernetes’ mount-utils', 'wall, to the tool'], ...rows]),
    '',
    ...(imports === undefined || core === undefined
      ? []
      : [
          `Importing the root takes ${imports.over.median.toFixed(1)} ms more than bare Node.js, loads ${imports.thirdParty.length} third-party modules, and is ${kilobytes(core.loaded.gzippedBytes)} minified and gzipped; with all that its calls load, ${kilobytes(core.whole.gzippedBytes)}.`,
          '',
        ]),
    `Medians of \`npm run bench\` on ${results.processors} processors, Node.js ${results.node}${here === undefined ? '' : `, kernel ${here.kernel}`}: filesystems made anew on loop devices, the three in turn from one process that`,
    'has called each before; stalls are measured in growths of their own. mount-utils’ sequence is `blockdev --getro`, `blkid -p` twice, and the tool; neither it nor the tool verifies.' +
      footnote,
    ...(ssh === undefined ? [] : ['', ...markedSsh(sshReadme(ssh))]),
  ]
}
