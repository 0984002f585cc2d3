import * as fs from 'node:fs/promises'
import { parseMountinfo } from '../mountinfo.ts'
import { parseControlGroups } from '../proc.ts'
import { linkNow, readNow } from './files.ts'

// PROC_CGROUP_INIT_INO of linux/proc_ns.h. In any other namespace the root that is seen is somebody's group, and ends with it.
const initialNamespace = 'cgroup:[4026531835]'

/**
 * Where a process has to be written to leave the caller's control groups: `cgroup.procs` of the root of each hierarchy by which a service manager stops its
 * services. None: the caller is in the roots already. Undefined: it cannot be left.
 */
export function waysOut(): readonly string[] | undefined {
  const groups = parseControlGroups(readNow('/proc/self/cgroup') ?? '').filter(
    ({ hierarchy }) => hierarchy === 'unified' || hierarchy === 'name=systemd',
  )
  if (groups.length === 0) return []
  if (linkNow('/proc/self/ns/cgroup') !== initialNamespace) return undefined
  const left = groups.filter(({ path }) => path !== '/')
  if (left.length === 0) return []
  const mounts = parseMountinfo(readNow('/proc/self/mountinfo') ?? '').filter(({ root }) => root === '/')
  const files = left.map(({ hierarchy }) => {
    const mount = mounts.find(({ type, superOptions }) =>
      hierarchy === 'unified' ? type === 'cgroup2' : type === 'cgroup' && superOptions.includes(hierarchy),
    )
    return mount === undefined ? undefined : `${mount.mountPoint}/cgroup.procs`
  })
  return files.every((file) => file !== undefined) ? files : undefined
}

/**
 * Moves a process that has just begun out of the caller's control groups, and after it the children that it already has. The kernel may take some
 * milliseconds to do it, meanwhile the process runs on.
 *
 * @returns whether it left; undefined when it had ended before
 */
export async function leaveControlGroups(pid: number, ways: readonly string[]): Promise<boolean | undefined> {
  try {
    for (const way of ways) await fs.writeFile(way, `${pid}`, { flag: 'r+' })
    return await moveChildren(pid, ways)
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH' ? undefined : false
  }
}

async function moveChildren(pid: number, ways: readonly string[]): Promise<boolean> {
  const children = (readNow(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter((child) => child !== '')
  for (const child of children) {
    if ((await leaveControlGroups(Number(child), ways)) === false) return false
  }
  return true
}
