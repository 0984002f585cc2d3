import { createRequire } from 'node:module'

/** The part of esbuild's interface that is used here. */
interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<BuildResult>
}

interface BuildResult {
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[]
  readonly metafile: Metafile
}

export interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly entryPoint?: string
        readonly inputs: Readonly<Record<string, unknown>>
        readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[]
      }
    >
  >
}

/** The very esbuild that tsup builds the package with. */
export function esbuild(): Esbuild {
  const require = createRequire(import.meta.url)
  return createRequire(require.resolve('tsup'))('esbuild')
}
