import type { Host } from '../host.ts'
import { remoteHost } from '../remote/host.ts'
import { runtimeDirectoriesOf } from '../remote/options.ts'
import { notEntered } from './errors.ts'
import { type PodHostOptions, targetOf } from './options.ts'
import { podTransport } from './transport.ts'

export type { Host } from '../host.ts'
export type {
  KubeconfigFile,
  KubernetesConfig,
  NamedPodOptions,
  PodConnectionOptions,
  PodHostOptions,
  SelectedPodOptions,
} from './options.ts'

/**
 * A node of a Kubernetes cluster, reached through a privileged pod on it that is in the node's PID namespace, such as the one of a storage DaemonSet: commands enter
 * the namespaces of process 1 with nsenter, so that devices, tools, mounts and processes are the node's. The pod is named, or found by a selector on a node; another
 * pod that has taken its name, or its place on another node, is noticed before anything is sent.
 *
 * Rights in the namespace of the pod: `get` on pods (`list`, too, with a selector), and `get` and `create` on pods/exec. Whoever has them is root on the node.
 *
 * A batch costs one stream, and with it one reading of the pod at the same time. Over `v4.channel.k8s.io`, which cannot end the input alone, the end of the stream
 * ends what a lost or aborted run has left; over `v5.channel.k8s.io` the input is ended first. A growth tool runs in a session of its own and, where the node lets it,
 * in a control group outside of the pod's: so it goes on when the stream is lost, and when the pod is deleted or its container ends, but not when the node goes down.
 * Where it could not leave the group, `ownControlGroup` of the result is false, and the end of the container may end it. A stream that is lost leaves the outcome
 * `unknown` for what changes; the next run waits for the tool, and finds out.
 *
 * The id is `kubernetes://<cluster>/nodes/<node>` when the node is given, whichever pod leads to it, and names the pod otherwise. `cluster` names the cluster.
 *
 * Calls reject before anything is begun with `not-found` (the pod or the container), `ambiguous` (several pods or privileged containers fit), `identity-mismatch` (the
 * pod is on another node), `permission-denied` (a right, a pod that is not privileged or has no hostPID, a profile that keeps it from the node),
 * `authentication-failed` (the credentials, or an API server whose certificate is not trusted), `host-unreachable` (the API server, the kubelet, or a pod that does not run
 * or is not ready), `tool-missing` (no nsenter in the image, no shell on the node) and `invalid-request` (no kubeconfig, or the package is not installed); with
 * `host-unreachable` and outcome `unknown` when the stream was lost after a command may have begun; and with `aborted`. Needs the package @kubernetes/client-node.
 *
 * It was tested with that package against an emulated API server with exec streams, and with nsenter into namespaces of a Linux kernel; it has not been tested on a
 * real cluster.
 *
 * @throws {TypeError} when an option is malformed
 */
export function podHost(options: PodHostOptions): Host {
  const target = targetOf(options)
  return remoteHost({
    id: target.id,
    transport: podTransport(target),
    elevation: 'none',
    sudoCommands: false,
    runtimeDirectories: runtimeDirectoriesOf(options.runtimeDirectory),
    explain: notEntered,
  })
}
