import { invalidReference } from './errors.ts'

/** An RBD image, in parts. */
export interface RbdImage {
  readonly pool: string
  /** Left out or empty: the pool's default namespace. */
  readonly namespace?: string
  readonly image: string
}

/** `'pool/image'`, `'pool/namespace/image'`, or the parts. */
export type RbdRef = string | RbdImage

/** An image with every part decided; the empty namespace is the default one. */
export interface ImageName {
  readonly pool: string
  readonly namespace: string
  readonly image: string
}

const fields: ReadonlySet<string> = new Set(['pool', 'namespace', 'image'])

/** @throws {VolumeExpansionError} `invalid-reference` */
export function imageName(ref: unknown): ImageName {
  const { pool, namespace, image } = typeof ref === 'string' ? fromText(ref) : fromParts(ref)
  checkName(ref, 'pool', pool)
  checkName(ref, 'image', image)
  if (namespace !== '') checkName(ref, 'namespace', namespace)
  return { pool, namespace, image }
}

/** `pool/image` or `pool/namespace/image`: no part can hold a slash, so that this is one image's and no other's. */
export function specOf({ pool, namespace, image }: ImageName): string {
  return [pool, ...(namespace === '' ? [] : [namespace]), image].join('/')
}

function fromText(ref: string): ImageName {
  const [pool, second, third, ...more] = ref.split('/')
  if (pool === undefined || second === undefined || more.length > 0) {
    throw invalidReference(ref, 'it is neither pool/image nor pool/namespace/image')
  }
  if (third === undefined) return { pool, namespace: '', image: second }
  if (second === '') throw invalidReference(ref, 'its namespace is empty')
  return { pool, namespace: second, image: third }
}

function fromParts(ref: unknown): ImageName {
  if (typeof ref !== 'object' || ref === null || Array.isArray(ref)) {
    throw invalidReference(ref, 'it is neither a string nor an object with `pool` and `image`')
  }
  const unknown = Object.keys(ref).find((key) => !fields.has(key))
  if (unknown !== undefined) throw invalidReference(ref, `it has a field ${JSON.stringify(unknown)}`)
  const { pool, namespace = '', image } = ref as Readonly<Record<string, unknown>>
  if (typeof pool !== 'string' || typeof image !== 'string' || typeof namespace !== 'string') {
    throw invalidReference(ref, 'its pool, namespace and image have to be strings')
  }
  return { pool, namespace, image }
}

/** The characters that separate the parts of a spec, and those that cannot be shown or written as UTF-8, are in no name. */
function checkName(ref: unknown, part: string, name: string): void {
  if (name === '') throw invalidReference(ref, `its ${part} is empty`)
  if (/[/@]/.test(name)) throw invalidReference(ref, `its ${part} holds / or @, which separate the parts of a name`)
  if (/\p{Cc}/u.test(name)) throw invalidReference(ref, `its ${part} holds a control character`)
  if (Buffer.from(name, 'utf8').toString('utf8') !== name) {
    throw invalidReference(ref, `its ${part} is not well-formed Unicode`)
  }
}
