import { holds } from '../suite.ts'
import { aborted, contents, eventually, same, touch, untilThere } from './help.ts'
import type { Body } from './setup.ts'

/** What outlives a call, or ends it: deadlines, locks, aborts. */
export const lastingCases: Readonly<Record<string, Body>> = {
  'exec: a command is killed at its deadline': async ({ host }) => {
    const started = performance.now()
    const result = await host.exec(['sleep', '30'], { deadline: 200 })
    same([result.ended, result.ok], ['killed', false], 'a command that passes its deadline')
    holds(performance.now() - started < 10_000, 'the deadline is kept')
    const stubborn = await host.exec(['sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"], { deadline: 200 })
    same(stubborn.ended, 'killed', 'a command that ignores SIGTERM')
  },

  'exec: a detached command runs on after its deadline': async ({ host, directory }) => {
    const [go, done] = [`${directory}/go`, `${directory}/done`]
    const script = `echo begun; ${untilThere}; echo yes > "$2"`
    const result = await host.exec(['sh', '-c', script, 'sh', go, done], { detached: true, deadline: 1000 })
    same([result.ended, result.ok], ['running', false], 'a detached command at its deadline')
    same(result.stdout, 'begun\n', 'what it had written by then')
    await touch(host, go)
    await eventually(async () => (await contents(host, done)) === 'yes\n', 'it has to run to its end')
  },

  'exec: a lock that is held keeps a second command from beginning': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    const [go, mark] = [`${directory}/go`, `${directory}/mark`]
    const script = `echo 1 > "$2"; ${untilThere}`
    const first = host.exec(['sh', '-c', script, 'sh', go, mark], { detached: true, lock })
    await eventually(async () => (await contents(host, mark)) === '1\n', 'the first command has to begin')
    const second = await host.exec(['sh', '-c', 'echo 2 > "$1"', 'sh', mark], { detached: true, lock })
    same([second.ended, second.ok], ['locked', false], 'a command whose lock is held')
    same(await contents(host, mark), '1\n', 'what the second command would have written')
    await touch(host, go)
    same((await first).ended, 'exited', 'the first command')
    const third = await host.exec(['true'], { detached: true, lock })
    same(third.ended, 'exited', 'a command after the lock was given back')
  },

  'exec: one of several locks is enough to keep a command from beginning': async ({ host, directory }) => {
    const [a, b] = [await touch(host, `${directory}/a`), await touch(host, `${directory}/b`)]
    const [go, mark] = [`${directory}/go`, `${directory}/mark`]
    const script = `echo 1 > "$2"; ${untilThere}`
    const first = host.exec(['sh', '-c', script, 'sh', go, mark], { detached: true, lock: [b] })
    await eventually(async () => (await contents(host, mark)) === '1\n', 'the first command has to begin')
    const second = await host.exec(['true'], { detached: true, lock: [b, a, a] })
    same(second.ended, 'locked', 'a command of whose locks one is held')
    await touch(host, go)
    await first
    const third = await host.exec(['true'], { detached: true, lock: [b, a, a] })
    same(third.ended, 'exited', 'a command that locks one file twice')
  },

  'exec: a command that exits with the code of a conflict is not locked': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    for (const code of [1, 66, 69, 75]) {
      const result = await host.exec(['sh', '-c', 'exit "$1"', 'sh', `${code}`], { detached: true, lock })
      same([result.ended, result.exitCode], ['exited', code], `a command that holds its lock and exits with ${code}`)
    }
  },

  'exec: a lock on what is not there is refused, and creates nothing': async ({ host, directory }) => {
    const result = await host.exec(['true'], { detached: true, lock: [`${directory}/absent`] })
    same([result.ended, result.ok], ['refused', false], 'a command whose lock cannot be had')
    const [found] = await host.batch([{ read: 'stat', path: `${directory}/absent` }])
    holds(!found.ok && found.errno === 'ENOENT', 'a lock must not create the file that it is for')
  },

  'exec: an aborted signal begins nothing': async ({ host, directory }) => {
    const mark = `${directory}/mark`
    const signal = AbortSignal.abort(new Error('stop'))
    await aborted(host.exec(['tee', mark], { signal }), 'unchanged')
    await aborted(host.batch([{ exec: ['tee', mark] }], { signal }), 'unchanged')
    const [found] = await host.batch([{ read: 'stat', path: mark }])
    holds(!found.ok && found.errno === 'ENOENT', 'an aborted command must not have run')
  },

  'exec: an abort leaves a detached command to go on with its lock': async ({ host, directory }) => {
    const lock = [await touch(host, `${directory}/lock`)]
    const [go, begun, done] = [`${directory}/go`, `${directory}/begun`, `${directory}/done`]
    const controller = new AbortController()
    const script = `echo yes > "$2"; ${untilThere}; echo yes > "$3"`
    const run = host.exec(['sh', '-c', script, 'sh', go, begun, done], {
      ...{ detached: true, lock, signal: controller.signal },
    })
    const refused = aborted(run, 'unknown')
    await eventually(async () => (await contents(host, begun)) === 'yes\n', 'the command has to begin')
    controller.abort(new Error('stop'))
    await refused
    same((await host.exec(['true'], { detached: true, lock })).ended, 'locked', 'a second command meanwhile')
    await touch(host, go)
    await eventually(async () => (await contents(host, done)) === 'yes\n', 'the first command has to go on')
  },
}
