import type { Results } from './spec.ts'

/** The figures of a run, as Markdown. */
export function reportOf({ kernel, tools, kills, power, errors }: Results): string {
  const lines = [`Kernel ${kernel}; ${tools.join('; ')}.`]
  if (kills.length > 0) {
    lines.push(
      '',
      '| kills of the process | boundaries | kills at them | fewest at one | at random moments | of them with its tools | left to do: all / part / nothing | failures | seed | s |',
      '|---|---|---|---|---|---|---|---|---|---|',
      ...kills.map(({ subject, boundaries, alone, withTools, left, failures, seed, seconds }) => {
        const counts = boundaries.map((boundary) => boundary.kills)
        const sum = counts.reduce((total, count) => total + count, 0)
        const rest = `${left.all} / ${left.part} / ${left.nothing}`
        return row(
          subject,
          counts.length,
          sum,
          Math.min(...counts),
          alone + withTools,
          withTools,
          rest,
          failures.length,
          seed,
          seconds,
        )
      }),
    )
  }
  if (power.length > 0) {
    lines.push(
      '',
      '| power cuts | recordings | entries | states | at a flush | prefix of the next writes | any of the next writes | size old / between / new | XFS backup superblocks behind: told and mended by the remedy / by the growth | failures | seed | s |',
      '|---|---|---|---|---|---|---|---|---|---|---|---|',
      ...power.map(({ subject, recordings, entries, states, sizes, backupsBehind, failures, seed, seconds }) => {
        const { flush, prefix, reordered } = states
        const size = `${sizes.old} / ${sizes.between} / ${sizes.new}`
        return row(
          subject,
          recordings,
          entries,
          flush + prefix + reordered,
          flush,
          prefix,
          reordered,
          size,
          `${backupsBehind.told} / ${backupsBehind.overgrown}`,
          failures.length,
          seed,
          seconds,
        )
      }),
    )
  }
  if (errors.length > 0) {
    lines.push(
      '',
      '| errors of the disk | runs | how they ended | the next run, without errors, on the same mount | needed before it was completed | failures | seed | s |',
      '|---|---|---|---|---|---|---|---|',
      ...errors.map(({ subject, ended, next, needed, failures, seed, seconds }) => {
        const runs = Object.values(ended).reduce((total, count) => total + count, 0)
        return row(subject, runs, counted(ended), counted(next), counted(needed), failures.length, seed, seconds)
      }),
    )
  }
  const failures = [...kills, ...power, ...errors].flatMap((result) => result.failures)
  return [
    ...lines,
    '',
    ...(failures.length === 0 ? ['Everything held.'] : failures.map((failure) => `- ${failure}`)),
  ].join('\n')
}

function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`
}

function counted(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).filter(([, count]) => count > 0)
  return entries.map(([name, count]) => `${name} ${count}×`).join(', ')
}
