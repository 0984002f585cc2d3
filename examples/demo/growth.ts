import { createHook } from 'node:async_hooks'
import {
  type Action,
  type ExpandRequest,
  type ExpansionEvent,
  expand,
  formatSize,
  type Plan,
  type PlannedLayer,
  type Report,
} from '../../src/index.ts'
import type { Screen, Task } from './screen.ts'

/** A plan as a table: every layer with its size before and after, and what is done to it; below that everything that was found. */
export function showPlan(screen: Screen, plan: Plan): void {
  screen.table(
    ['LAYER', 'BEFORE', 'AFTER', 'HOW'],
    plan.layers.map((layer) => rowOf(layer, plan)),
  )
  for (const { severity, code, message, remedy } of plan.findings) {
    const [mark, label] = severities[severity]
    screen.mark(mark, label, `${message} (${code})`)
    if (remedy !== undefined && severity !== 'note') screen.say('', remedy)
  }
  if (plan.blocked) screen.say('', 'So the plan is refused, before anything has been touched.')
}

const severities = { blocker: ['bad', 'refused'], warning: ['open', 'warning'], note: ['open', 'note'] } as const

function rowOf({ id, kind, label, size, after }: PlannedLayer, { actions }: Plan): readonly string[] {
  const action = actions.find(({ target }) => target === id)
  const sizes = [kind, formatSize(size), formatSize(after)]
  if (action !== undefined) return [...sizes, how(action)]
  // An image has no device to be told of its new size: it is the volume.
  if (after > size && kind === 'device') return [...sizes, `${label}: follows the volume by itself`]
  return [...sizes, after > size ? label : `${label}: nothing is done`]
}

/** Runs a request or a plan, and shows its events as they come. */
export async function showGrowth(screen: Screen, request: ExpandRequest | Plan): Promise<Report> {
  const run = expand(request)
  let task: Task | undefined
  for await (const event of run) task = show(screen, event, task)
  return run
}

function show(screen: Screen, event: ExpansionEvent, task: Task | undefined): Task | undefined {
  switch (event.type) {
    case 'action-started':
      return screen.task(event.action.layer, shortened(event.action.summary))
    case 'progress': {
      const { fraction, size, native } = event
      const parts = [
        fraction === undefined ? undefined : `${Math.floor(fraction * 100)}%`,
        size === undefined ? undefined : formatSize(size),
        native,
      ]
      task?.update(parts.filter((part) => part !== undefined).join(', '))
      return task
    }
    case 'waiting':
      if (task === undefined) screen.mark('open', event.layer, event.reason)
      else task.update(event.reason)
      return task
    case 'action-finished': {
      const size = event.size === undefined ? 'done' : formatSize(event.size)
      task?.end('good', `${size}, ${milliseconds(event.milliseconds)}`)
      return undefined
    }
    case 'failed':
      task?.end('bad', event.error.code)
      return undefined
    // The plan was shown before with all that it warns of, and the report is shown after.
    case 'observed':
    case 'planned':
    case 'warning':
    case 'succeeded':
      return task
    default:
      return event satisfies never
  }
}

function how({ commands, calls, summary }: Action): string {
  const command = commands.map((argv) => argv.map(argument).join(' ')).join(' && ')
  if (command !== '') return command
  return calls.length === 0 ? summary : `${calls.join(', ')}: ${summary}`
}

/** A script that is handed to a shell is longer than a table has room for. */
function argument(text: string): string {
  return text.includes('\n') ? '<script>' : text
}

function shortened(summary: string): string {
  return summary.length > 90 ? `${summary.slice(0, 89)}…` : summary
}

/** Few digits, so that the eye can compare. */
export function milliseconds(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
}

/** How many processes this one starts while the work is done, as Node.js itself sees them. */
export async function countProcesses<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly processes: number }> {
  let processes = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROCESSWRAP') processes += 1
    },
  }).enable()
  try {
    const result = await work()
    return { result, processes }
  } finally {
    hook.disable()
  }
}

export function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}
