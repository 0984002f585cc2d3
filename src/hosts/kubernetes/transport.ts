import { VolumeExpansionError } from '../../errors.ts'
import type { RemoteTransport } from '../remote/host.ts'
import { Slots } from '../remote/slots.ts'
import { getObject } from './api.ts'
import { type Cluster, clusterOf } from './client.ts'
import { entering } from './command.ts'
import { type Question, refusal } from './errors.ts'
import type { Target } from './options.ts'
import { type Chosen, judged, onlyPod, podOf, podsOf } from './pods.ts'
import { openStream } from './stream.ts'

// Each is a connection of its own through the API server to one kubelet, which others use, too.
const mostStreams = 16

type Stream = Awaited<ReturnType<typeof openStream>>

/** Runs the boot command in the pod, each time over a stream of its own. */
export function podTransport(target: Target): RemoteTransport {
  const slots = new Slots(mostStreams)
  const pods = new Pods(target)
  return {
    async open(signal) {
      await slots.enter()
      try {
        signal?.throwIfAborted()
        const stream = await pods.stream(signal)
        void stream.closed.then(() => slots.leave())
        return stream
      } catch (error) {
        slots.leave()
        throw error
      }
    },
    // No stream is kept when its command has ended.
    close: async () => undefined,
  }
}

/** The pod that acts as the node. A name can pass on to another pod, on another node: so it is looked at with every stream, while the stream is being opened. */
class Pods {
  readonly #target: Target
  #cluster: Promise<Cluster> | undefined
  #known: Chosen | undefined
  /** The node that was reached first: this host is that one, and no other. */
  #node: string | undefined

  constructor(target: Target) {
    this.#target = target
  }

  async stream(signal: AbortSignal | undefined): Promise<Stream> {
    this.#cluster ??= clusterOf(this.#target)
    const cluster = await this.#cluster.catch((error: unknown) => {
      this.#cluster = undefined
      throw error
    })
    const known = this.#known
    if (known !== undefined) {
      const stream = await this.#again(cluster, known, signal)
      if (stream !== undefined) return stream
      this.#known = undefined
    }
    const found = await this.#find(cluster, signal)
    const stream = await this.#open(cluster, found, signal)
    this.#known = found
    this.#node = found.node
    return stream
  }

  /** A stream to the pod that is known; undefined when that is gone, or has given its name to another one. Nothing was sent to it by then. */
  async #again(cluster: Cluster, known: Chosen, signal: AbortSignal | undefined): Promise<Stream | undefined> {
    const [opened, seen] = await Promise.allSettled([
      this.#open(cluster, known, signal),
      this.#look(cluster, known.name, signal),
    ])
    if (opened.status === 'fulfilled') {
      if (seen.status === 'fulfilled' && seen.value.uid === known.uid) return opened.value
      opened.value.close()
    }
    if (seen.status === 'rejected') {
      // What a selector has found once may be gone, and have a successor.
      if (this.#target.selector !== undefined && isPassing(seen.reason)) return undefined
      throw seen.reason
    }
    if (seen.value.uid !== known.uid) return undefined
    throw opened.status === 'rejected' ? opened.reason : seen.value
  }

  async #find(cluster: Cluster, signal: AbortSignal | undefined): Promise<Chosen> {
    const { id, namespace, pod, node, selector, connectTimeout: timeout } = this.#target
    if (pod !== undefined) return this.#look(cluster, pod, signal)
    const query = new URLSearchParams({ labelSelector: selector ?? '', fieldSelector: `spec.nodeName=${node}` })
    const question: Question = {
      what: `list pods in the namespace ${namespace}`,
      right: `the verb list on pods in ${namespace}`,
    }
    const path = `/api/v1/namespaces/${namespace}/pods?${query}`
    const list = await getObject(cluster, path, question, { id, timeout, signal })
    return this.#sameNode(judged(onlyPod(podsOf(list), this.#target), this.#target))
  }

  async #look(cluster: Cluster, name: string, signal: AbortSignal | undefined): Promise<Chosen> {
    const { id, namespace, connectTimeout: timeout } = this.#target
    const question: Question = {
      what: `read the pod ${name} in the namespace ${namespace}`,
      right: `the verb get on pods in ${namespace}`,
    }
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`
    return this.#sameNode(
      judged(podOf(await getObject(cluster, path, question, { id, timeout, signal })), this.#target),
    )
  }

  #sameNode(pod: Chosen): Chosen {
    if (this.#node === undefined || this.#node === pod.node) return pod
    throw refusal(
      'identity-mismatch',
      `The pod ${pod.name} has moved from the node ${this.#node} to ${pod.node}.`,
      'Make a new host for it, and plan anew: the disks are other ones.',
    )
  }

  #open(cluster: Cluster, { name, container }: Chosen, signal: AbortSignal | undefined): Promise<Stream> {
    const { id, namespace, connectTimeout, keepAlive } = this.#target
    const query = new URLSearchParams({ container, stdin: 'true', stdout: 'true', stderr: 'true', tty: 'false' })
    for (const word of entering(this.#target)) query.append('command', word)
    const question: Question = {
      what: `run commands in the container ${container} of the pod ${name} in the namespace ${namespace}`,
      right: `the verbs get and create on pods/exec in ${namespace}`,
    }
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/exec?${query}`
    return openStream(cluster, path, question, { id, connectTimeout, keepAlive, signal })
  }
}

/** Whether another pod may have taken the place of the one that was asked for. */
function isPassing(error: unknown): boolean {
  return error instanceof VolumeExpansionError && (error.code === 'not-found' || error.code === 'host-unreachable')
}
