import { describe, expect, test } from 'vitest'
import type { Surroundings } from '../../../providers/cinder/cloud/files.ts'
import { settingsOf } from '../../../providers/cinder/cloud/settings.ts'

function surroundings(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Surroundings {
  return { env, cwd: '/project', home: '/home/me', read: (path) => files[path] }
}

const etc = '/etc/openstack/clouds.yaml'
const demo = `
clouds:
  demo:
    auth: { auth_url: "https://keystone:5000", username: demo, project_name: web }
    region_name: North
    interface: internalURL
`
const secure = 'clouds: { demo: { auth: { password: from-secure } } }'

describe('clouds.yaml', () => {
  test('with secure.yaml over it', () => {
    const settings = settingsOf({ cloud: 'demo' }, surroundings({ [etc]: demo, '/etc/openstack/secure.yaml': secure }))
    expect(settings).toEqual({
      source: `the cloud demo of ${etc}`,
      authUrl: 'https://keystone:5000/v3',
      credentials: {
        kind: 'password',
        user: { name: 'demo', domain: { id: 'default' } },
        password: 'from-secure',
        project: { name: 'web', domain: { id: 'default' } },
      },
      region: 'North',
      interface: 'internal',
      tls: { insecure: false },
    })
  })

  test.each([
    ['OS_CLIENT_CONFIG_FILE', '/srv/mine.yaml', { OS_CLIENT_CONFIG_FILE: '/srv/mine.yaml' }],
    ['the working directory', '/project/clouds.yaml', {}],
    ["the user's configuration", '/home/me/.config/openstack/clouds.yaml', {}],
    ['the system', etc, {}],
  ])('is found in %s before what comes after it', (_, path, env) => {
    const order = ['/srv/mine.yaml', '/project/clouds.yaml', '/home/me/.config/openstack/clouds.yaml', etc]
    const below = order.slice(order.indexOf(path))
    const files = Object.fromEntries(
      below.map((each) => [each, demo.replace('username: demo', 'username: demo, password: x')]),
    )
    expect(settingsOf({}, surroundings(files, env)).source).toBe(`the cloud demo of ${path}`)
  })

  test('a profile of clouds-public.yaml lies under it', () => {
    const files = {
      [etc]: 'clouds: { mine: { profile: host, auth: { username: me, password: pw, project_id: 42 } } }',
      '/etc/openstack/clouds-public.yaml':
        'public-clouds: { host: { auth: { auth_url: "https://host/v3" }, region_name: R1 } }',
    }
    expect(settingsOf({}, surroundings(files))).toMatchObject({
      ...{ authUrl: 'https://host/v3', region: 'R1', credentials: { user: { name: 'me' }, project: { id: '42' } } },
    })
    const { '/etc/openstack/clouds-public.yaml': _, ...without } = files
    expect(() => settingsOf({}, surroundings(without))).toThrow('not in clouds-public.yaml')
  })

  test('which cloud: OS_CLOUD, and none of several', () => {
    const several = demo + demo.replace('clouds:\n', '').replace('demo:', 'other:')
    const files = { [etc]: several, '/etc/openstack/secure.yaml': 'clouds: { other: { auth: { password: pw } } }' }
    expect(settingsOf({}, surroundings(files, { OS_CLOUD: 'other' })).source).toContain('other')
    expect(() => settingsOf({}, surroundings(files))).toThrow('several clouds: demo, other')
    expect(() => settingsOf({ cloud: 'third' }, surroundings(files))).toThrow('it has: demo, other')
  })

  test('nothing at all says where was looked', () => {
    expect(() => settingsOf({}, surroundings({}))).toThrow('/project, /home/me/.config/openstack, /etc/openstack')
  })

  test('a file that is no YAML is not quoted', () => {
    const files = { [etc]: 'clouds: {demo: {auth: {password: canary-4411' }
    expect(() => settingsOf({}, surroundings(files))).toThrow(/not well-formed YAML/)
    expect(() => settingsOf({}, surroundings(files))).not.toThrow(/canary/)
  })

  test('several regions need a choice', () => {
    const files = {
      [etc]: demo
        .replace('region_name: North', 'regions: [A, { name: B }]')
        .replace('username', 'password: x, username'),
    }
    expect(() => settingsOf({}, surroundings(files))).toThrow('several regions: A, B')
    expect(settingsOf({ region: 'B' }, surroundings(files)).region).toBe('B')
  })

  test('certificates, and a home of ~', () => {
    const text = demo
      .replace('username', 'password: x, username')
      .replace('region_name: North', 'cacert: ~/ca.pem\n    verify: false')
    const files = { [etc]: text, '/home/me/ca.pem': 'PEM' }
    expect(settingsOf({}, surroundings(files)).tls).toEqual({ ca: 'PEM', insecure: true })
    expect(() => settingsOf({}, surroundings({ [etc]: text }))).toThrow('~/ca.pem (cacert) does not exist')
  })
})

describe('OS_* variables', () => {
  const env = {
    OS_AUTH_URL: 'https://keystone/identity/v2.0/',
    OS_USERNAME: 'demo',
    OS_PASSWORD: 'pw',
    OS_TENANT_NAME: 'web',
    OS_USER_DOMAIN_NAME: 'Home',
    OS_REGION_NAME: 'South',
    OS_ENDPOINT_TYPE: 'adminURL',
  }

  test('describe a cloud by themselves', () => {
    expect(settingsOf({}, surroundings({ [etc]: demo }, env))).toMatchObject({
      source: 'the OS_* variables',
      authUrl: 'https://keystone/identity/v3',
      credentials: { kind: 'password', user: { name: 'demo', domain: { name: 'Home' } }, project: { name: 'web' } },
      region: 'South',
      interface: 'admin',
    })
  })

  test('say by OS_AUTH_TYPE what counts', () => {
    const credential = { OS_APPLICATION_CREDENTIAL_ID: 'a1', OS_APPLICATION_CREDENTIAL_SECRET: 's' }
    expect(() => settingsOf({}, surroundings({}, { ...env, ...credential }))).toThrow(/has both|have both/)
    const typed = { ...env, ...credential, OS_AUTH_TYPE: 'v3applicationcredential' }
    expect(settingsOf({}, surroundings({}, typed)).credentials).toEqual({
      kind: 'application-credential',
      id: 'a1',
      secret: 's',
    })
    expect(() => settingsOf({}, surroundings({}, { ...env, OS_AUTH_TYPE: 'v3oidcpassword' }))).toThrow('not supported')
  })

  test('a scope that has no volumes is refused', () => {
    expect(() => settingsOf({}, surroundings({}, { ...env, OS_SYSTEM_SCOPE: 'all' }))).toThrow('system_scope')
  })
})

test('the options stand alone, and say what is missing', () => {
  const auth = { authUrl: 'http://k/v3', username: 'u', password: 'p' }
  expect(() => settingsOf({ auth, cloud: 'demo' }, surroundings({}))).toThrow('Both')
  expect(() => settingsOf({ auth: { ...auth, password: '' } }, surroundings({}))).toThrow('lack')
  expect(() => settingsOf({ auth: { username: 'u', password: 'p' } }, surroundings({}))).toThrow('auth_url')
  expect(settingsOf({ auth, endpoint: 'http://c/v3' }, surroundings({}))).toMatchObject({
    endpoint: 'http://c/v3',
    interface: 'public',
  })
})
