import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** No Debian package brings the programs of a control plane: who has them says where they are. */
const withoutPrograms = (path: string): readonly string[] => (process.env['KUBEBUILDER_ASSETS'] ? [] : [path])

/**
 * Real filesystems. `host` runs on this machine's kernel, as root. `uml` runs inside User-Mode Linux, whose kernel has every capability and device-mapper but
 * a single processor: one process without isolation, and generous deadlines. `node` runs on this machine too, and works on an emulated one over SSH.
 * `backends` runs here as well, beside the real storage backends that it starts on loopback, and
 * `backends-on-node` with their volumes on the emulated machine.
 */
const config: ViteUserConfig = {
  test: {
    projects: [
      {
        test: {
          name: 'host',
          include: ['test/real/**/*.test.ts'],
          exclude: ['test/real/{uml,node,backends}/**'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // The machine has few loop devices, and timing is part of what is tested.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'uml',
          include: ['test/real/uml/**/*.test.ts'],
          pool: 'threads',
          isolate: false,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'node',
          include: ['test/real/node/**/*.test.ts'],
          globalSetup: ['test/real/node/support/setup.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'backends',
          include: ['test/real/backends/**/*.test.ts'],
          globalSetup: ['test/real/backends/support/setup.ts'],
          exclude: ['test/real/backends/node/**', ...withoutPrograms('test/real/backends/kubernetes/**')],
          fileParallelism: false,
          testTimeout: 180_000,
          // Daemons of others on a machine that does much else: what fails twice is a failure.
          retry: process.env['CI'] ? 1 : 0,
          // Whole backends are started in hooks.
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'backends-on-node',
          include: ['test/real/backends/node/**/*.test.ts'],
          exclude: [...withoutPrograms('test/real/backends/node/claims.test.ts')],
          globalSetup: ['test/real/backends/support/setup.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
}

export default defineConfig(config) as ViteUserConfig
