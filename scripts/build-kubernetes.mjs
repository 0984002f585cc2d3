// Builds kube-apiserver and kube-controller-manager from Debian's source package `kubernetes` into the directory that is named, which KUBEBUILDER_ASSETS may then name.
// Takes some ten minutes on two processors and 4 GB below the temporary directory; does nothing when both are there. Root and Debian (or a derivative with that package).
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ensureSystemPackages } from './system-packages.mjs'

const programs = ['kube-apiserver', 'kube-controller-manager']
const packages = [
  'dpkg-dev',
  'golang-1.19-go',
  'golang-1.19-src',
  'golang-github-modern-go-reflect2-dev',
  'etcd-server',
]
const importPath = 'k8s.io/kubernetes'

const [given] = process.argv.slice(2)
if (given === undefined) {
  console.error('Into which directory? node scripts/build-kubernetes.mjs DIRECTORY')
  process.exit(2)
}
const target = resolve(given)

function isThere(name) {
  try {
    accessSync(join(target, name), constants.X_OK)
    return true
  } catch {
    return false
  }
}

function run(argv, options = {}) {
  const [program, ...args] = argv
  const { status, error, stdout } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options })
  if (error) throw new Error(`${program} cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`${argv.join(' ').slice(0, 300)} ended with exit code ${status}`)
  return stdout
}

/** Debian's source package, unpacked. The sources of this machine are used, and its own lists are left as they are. */
function unpackSource(scratch, tree) {
  const parts = join(scratch, 'sources')
  const lists = join(scratch, 'lists')
  mkdirSync(parts)
  mkdirSync(join(lists, 'partial'), { recursive: true })
  const texts = [
    ...(existsSync('/etc/apt/sources.list') ? [['sources.list', readFileSync('/etc/apt/sources.list', 'utf8')]] : []),
    ...readdirSync('/etc/apt/sources.list.d').map((name) => [
      name,
      readFileSync(join('/etc/apt/sources.list.d', name), 'utf8'),
    ]),
  ]
  for (const [name, text] of texts) {
    const sources = text.replace(/^(Types:).*$/gm, '$1 deb-src').replace(/^deb /gm, 'deb-src ')
    writeFileSync(join(parts, name === 'sources.list' ? 'own.list' : name), sources)
  }
  const own = [
    '-o',
    'Dir::Etc::SourceList=/dev/null',
    '-o',
    `Dir::Etc::SourceParts=${parts}`,
    '-o',
    `Dir::State::Lists=${lists}`,
  ]
  run(['apt-get', ...own, 'update'])
  run(['apt-get', ...own, '-o', 'APT::Sandbox::User=root', 'source', '--download-only', 'kubernetes'], { cwd: scratch })
  const description = readdirSync(scratch).find((name) => name.endsWith('.dsc'))
  if (description === undefined) throw new Error('apt-get source kubernetes brought no source package.')
  run(['dpkg-source', '--no-check', '-x', description, tree], { cwd: scratch })
}

/** Packages of the tree that ask for their types in the API's description. */
function describedPackages(tree) {
  const found = new Set()
  const visit = (directory, path) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const inner = join(directory, entry.name)
      if (entry.isDirectory() && !['testdata', '_output', '.git'].includes(entry.name))
        visit(inner, `${path}/${entry.name}`)
      else if (entry.name === 'doc.go' && /^\/\/ \+k8s:openapi-gen=true/m.test(readFileSync(inner, 'utf8')))
        found.add(path)
    }
  }
  visit(join(tree, 'pkg'), `${importPath}/pkg`)
  const staging = join(tree, 'staging/src/k8s.io')
  for (const name of [
    'api',
    'apimachinery',
    'apiserver',
    'apiextensions-apiserver',
    'kube-aggregator',
    'metrics',
    'cloud-provider',
    'kube-controller-manager',
    'component-base',
    'client-go',
    'kubelet',
    'kube-proxy',
    'kube-scheduler',
    'controller-manager',
  ]) {
    if (existsSync(join(staging, name))) visit(join(staging, name), `${importPath}/vendor/k8s.io/${name}`)
  }
  return [...found].sort()
}

function build(scratch) {
  const gopath = join(scratch, 'go')
  const tree = join(gopath, 'src', importPath)
  mkdirSync(join(gopath, 'src/k8s.io'), { recursive: true })
  unpackSource(scratch, tree)
  // The vendored version ends the server at the first POST when it was built by a Go that is newer than it.
  const reflect2 = join(tree, 'vendor/github.com/modern-go/reflect2')
  rmSync(reflect2, { recursive: true, force: true })
  cpSync('/usr/share/gocode/src/github.com/modern-go/reflect2', reflect2, { recursive: true, dereference: true })
  const go = '/usr/lib/go-1.19/bin/go'
  // Modules would insist on a vendor/modules.txt that fits, which Debian's tree has not.
  const env = {
    ...process.env,
    GOPATH: gopath,
    GO111MODULE: 'off',
    GOFLAGS: '',
    GOCACHE: join(scratch, 'cache'),
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  }
  const options = { cwd: tree, env }
  const generated = join(tree, 'pkg/generated/openapi')
  if (!existsSync(join(generated, 'zz_generated.openapi.go'))) {
    mkdirSync(generated, { recursive: true })
    const boilerplate = join(scratch, 'boilerplate.txt')
    writeFileSync(boilerplate, '')
    const generator = join(scratch, 'openapi-gen')
    run([go, 'build', '-o', generator, './vendor/k8s.io/kube-openapi/cmd/openapi-gen'], options)
    run(
      [
        generator,
        '--go-header-file',
        boilerplate,
        '--output-file-base',
        'zz_generated.openapi',
        '--output-base',
        join(gopath, 'src'),
        '--output-package',
        `${importPath}/pkg/generated/openapi`,
        '--report-filename',
        join(scratch, 'violations'),
        '--input-dirs',
        describedPackages(tree).join(','),
      ],
      options,
    )
  }
  const text = readFileSync(join(tree, 'debian/changelog'), 'utf8')
  // Debian went back once: 1.20.5+really1.20.2.
  const version =
    (/really([\d.]+)/.exec(text.split('\n')[0] ?? '') ?? /\((?:\d+:)?([\d.]+)/.exec(text))?.[1] ?? '1.20.0'
  const [major, minor] = version.split('.')
  const values = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' }
  const stamps = Object.entries(values).flatMap(([name, value]) =>
    ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map(
      (path) => `-X ${importPath}/vendor/${path}.${name}=${value}`,
    ),
  )
  mkdirSync(target, { recursive: true })
  for (const name of programs) {
    console.error(`Building ${name} ${version}`)
    const made = join(scratch, name)
    run([go, 'build', '-ldflags', ['-s', '-w', ...stamps].join(' '), '-o', made, `./cmd/${name}`], options)
    // Under its name only when all of it is there.
    copyFileSync(made, join(target, `.${name}`))
    renameSync(join(target, `.${name}`), join(target, name))
  }
}

if (programs.every(isThere)) console.error(`${programs.join(' and ')} are in ${target} already.`)
else {
  await ensureSystemPackages(packages)
  const scratch = mkdtempSync(join(tmpdir(), 'kubernetes-'))
  try {
    build(scratch)
    console.error(`Built. The tests take them from: KUBEBUILDER_ASSETS=${target}`)
  } finally {
    // Go makes what it caches read-only, which root need not care about.
    rmSync(scratch, { recursive: true, force: true })
  }
}
