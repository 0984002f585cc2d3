import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  access,
  appendFile,
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { labDirectory } from '../register.ts'
import { cpio } from './cpio.ts'
import { type Recipe, recipe } from './recipe.ts'

const execute = promisify(execFile)
const mebibyte = 1024 * 1024

/** What a guest is started from; never written to again. */
export interface GuestImage {
  /** A disk of which the first partition is the root. */
  readonly root: string
  readonly kernel: string
  readonly initialFiles: string
  /** The private key that opens every account of the guest. */
  readonly identity: string
  /** The guest's public key, as a line of known_hosts without the host. */
  readonly hostKey: string
}

/** Bytes of the root's disk; some 300 MiB of it are free. */
const rootDiskSize: number = 1024 * mebibyte
const partitionStart = 1 * mebibyte
/** A GPT has its second copy in the last 33 sectors; whole MiB are left for it. */
const partitionEnd = rootDiskSize - 1 * mebibyte

/** The image of the recipe; built when it is not there, which takes one or two minutes and needs root and a Debian mirror. */
export async function guestImage(directory: string = labDirectory()): Promise<GuestImage> {
  const images = join(directory, 'images')
  const own = join(images, `node-${keyOf(recipe)}`)
  if (await exists(own)) return imageIn(own)
  console.error('Building the image of the lab’s node; this is done once, and takes a minute or two …')
  await mkdir(images, { recursive: true, mode: 0o700 })
  const scratch = await mkdtemp(join(images, 'building-'))
  try {
    const made = join(scratch, 'image')
    await build(recipe, scratch, made)
    // Somebody else may have built the same one meanwhile; either will do.
    await rename(made, own).catch(async (error: unknown) => {
      if (!(await exists(own))) throw error
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return imageIn(own)
}

function imageIn(directory: string): GuestImage {
  return {
    root: join(directory, 'root.img'),
    kernel: join(directory, 'vmlinuz'),
    initialFiles: join(directory, 'initrd.img'),
    identity: join(directory, 'identity'),
    hostKey: join(directory, 'host-key.pub'),
  }
}

function keyOf(made: Recipe): string {
  const layout = { rootDiskSize, partitionStart, partitionEnd, version: 1 }
  return createHash('sha256').update(JSON.stringify({ made, layout })).digest('hex').slice(0, 16)
}

async function build(made: Recipe, scratch: string, to: string): Promise<void> {
  const root = join(scratch, 'root')
  await mkdir(to)
  await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', join(to, 'identity'))
  await install(made, scratch, root)
  await configure(made, root, `${join(to, 'identity')}.pub`)
  const image = imageIn(to)
  await copyFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), image.hostKey)
  for (const name of await readdir(join(root, 'boot'))) {
    if (name.startsWith('vmlinuz-')) await rename(join(root, 'boot', name), image.kernel)
  }
  await writeFile(image.initialFiles, await initialFiles(made, root))
  await makeDisk(root, image.root)
}

async function install(made: Recipe, scratch: string, root: string): Promise<void> {
  // The kernel's package makes a first stage of the boot that nobody uses; so it may be small.
  const first = join(scratch, 'first')
  await put(join(first, 'conf.d/lab'), 'MODULES=list\nRESUME=none\n')
  await run(
    'mmdebstrap',
    ...['--quiet', '--variant=minbase', `--include=${made.packages.join(',')}`],
    ...['doc', 'info', 'locale', 'man'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    '--dpkgopt=force-unsafe-io',
    '--aptopt=Acquire::Retries "5"',
    '--setup-hook=mkdir -p "$1/etc/initramfs-tools"',
    `--setup-hook=sync-in ${first} /etc/initramfs-tools`,
    made.suite,
    root,
  )
}

async function configure(made: Recipe, root: string, publicKey: string): Promise<void> {
  for (const [path, content] of Object.entries(made.files)) await put(join(root, path), content)
  for (const { name, password, sudo } of made.users) {
    await run('chroot', root, 'useradd', '--create-home', '--shell', '/bin/bash', name)
    await run('chroot', root, 'usermod', '--password', await crypted(password), name)
    await put(join(root, 'etc/sudoers.d', name), `${name} ${sudo}\n`)
    await chmod(join(root, 'etc/sudoers.d', name), 0o440)
  }
  for (const { name, home } of [
    { name: 'root', home: '/root' },
    ...made.users.map(({ name }) => ({ name, home: `/home/${name}` })),
  ]) {
    const keys = join(root, home, '.ssh')
    await mkdir(keys, { mode: 0o700, recursive: true })
    await copyFile(publicKey, join(keys, 'authorized_keys'))
    await run('chroot', root, 'chown', '-R', `${name}:`, `${home}/.ssh`)
  }
  await run('chroot', root, 'systemctl', '--quiet', 'enable', ...made.enabled)
  await run('chroot', root, 'systemctl', '--quiet', 'mask', ...made.masked)
  await appendFile(join(root, 'etc/environment'), 'LC_ALL=C\n')
}

/** The first stage of the boot: with a handful of modules and one program it takes a fraction of what a distribution's own takes in an emulator. */
async function initialFiles(made: Recipe, root: string): Promise<Uint8Array> {
  const [kernel = ''] = await readdir(join(root, 'lib/modules'))
  const modules = new Set<string>()
  for (const name of made.bootModules) {
    const { stdout } = await execute('modprobe', ['-d', root, '-S', kernel, '--show-depends', name], {
      env: environment,
    })
    for (const [, path = ''] of stdout.matchAll(/^insmod (\S+)/gm)) modules.add(path)
  }
  const order = [...modules].map((path) => basename(path))
  const directories = ['bin', 'dev', 'modules', 'proc', 'root', 'sys']
  return cpio([
    ...directories.map((path) => ({ path })),
    { path: 'init', content: await readFile(new URL('init.sh', import.meta.url)), executable: true },
    { path: 'bin/busybox', content: await readFile(join(root, 'bin/busybox')), executable: true },
    { path: 'modules/order', content: Buffer.from(order.map((name) => `${name}\n`).join('')) },
    ...(await Promise.all(
      [...modules].map(async (path) => ({ path: `modules/${basename(path)}`, content: await readFile(path) })),
    )),
  ])
}

/** A disk with a GPT and one partition, whose filesystem holds the files of the directory. */
async function makeDisk(root: string, image: string): Promise<void> {
  await writeFile(image, '')
  await truncate(image, rootDiskSize)
  await run(
    ...(['mkfs.ext4', '-q', '-F', '-L', 'noderoot', '-E', `offset=${partitionStart},lazy_itable_init=0`] as const),
    ...['-d', root, image, `${(partitionEnd - partitionStart) / 1024}k`],
  )
  await run('sgdisk', '--new', `1:${partitionStart / 512}:${partitionEnd / 512 - 1}`, '--typecode', '1:8300', image)
}

/** A password as /etc/shadow has it. */
async function crypted(password: string): Promise<string> {
  const child = execute('openssl', ['passwd', '-6', '-stdin'])
  child.child.stdin?.end(`${password}\n`)
  return (await child).stdout.trim()
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

const environment = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin` }

async function run(program: string, ...args: readonly string[]): Promise<void> {
  await execute(program, args, { env: environment, maxBuffer: 64 * mebibyte })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
