import { bootArgv } from '../remote/request.ts'
import type { Target } from './options.ts'

// The nsenter of busybox, which the image may have, knows nothing of control group namespaces; the node's own does. In the one of the container no other group than
// the container's could be named, and a growth tool not be moved out of it. 4026531835 is PROC_CGROUP_INIT_INO of linux/proc_ns.h.
const leaveNamespace = [
  'case $(readlink /proc/self/ns/cgroup) in',
  '"" | "cgroup:[4026531835]") ;;',
  '*) nsenter --target 1 --cgroup true 2>/dev/null && exec nsenter --target 1 --cgroup -- "$@" ;;',
  'esac',
  'exec "$@"',
].join('\n')

/** What the container has to run: its way into the node, and there the boot command. Without secrets, because arguments are seen by everybody there. */
export function entering({ entry }: Target): readonly string[] {
  return [...entry, '/bin/sh', '-c', leaveNamespace, 'sh', ...bootArgv]
}
