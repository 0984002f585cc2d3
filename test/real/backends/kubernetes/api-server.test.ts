import { describe, expect, test } from 'vitest'
import { refusalOf } from '../../../../src/kubernetes/refusals.ts'
import { type ApiAnswer, patchTypes } from '../../../lab/kubernetes/api.ts'
import { type ClaimName, claimPath, volumePath } from '../../../lab/kubernetes/objects.ts'
import { realCluster } from './support.ts'

const real = realCluster()

const asking = (storage: string): object => ({ spec: { resources: { requests: { storage } } } })

function patch(
  name: ClaimName,
  body: unknown,
  { query = '', type = patchTypes.merge as string } = {},
): Promise<ApiAnswer> {
  return real.objects.api.send('PATCH', `${claimPath(name)}${query}`, body, type)
}

async function bound(options: Parameters<typeof real.objects.boundClaim>[1] = {}): Promise<ClaimName> {
  const name = await real.fresh()
  await real.objects.boundClaim(name, options)
  return name
}

const meaning = (answer: ApiAnswer): string | undefined =>
  refusalOf(answer, { namespace: 'shop', name: 'data', storageClass: 'fixed' })?.code

// What the library's rules rest on, seen on the real server.
describe('the API server', () => {
  test('takes a growth that the class allows, and leaves the capacity to others', async () => {
    const name = await bound()
    expect((await patch(name, asking('2Gi'))).status).toBe(200)
    expect(await real.objects.sizes(name)).toEqual({ request: '2Gi', capacity: '1Gi', volume: '1Gi' })
  })

  test.each(['fixed', 'unset', 'missing', ''])('refuses one that the class %j does not allow', async (storageClass) => {
    const answer = await patch(await bound({ storageClass }), asking('2Gi'))
    expect([answer.status, meaning(answer)]).toEqual([403, 'expansion-not-allowed'])
    expect(answer.body['message']).toContain(
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    )
  })

  test('refuses to grow what is not bound', async () => {
    const name = await real.fresh()
    await real.objects.claim(name)
    const answer = await patch(name, asking('2Gi'))
    expect(answer.status).toBe(422)
    expect(answer.body['message']).toContain('spec is immutable after creation except resources.requests for bound')
  })

  test('refuses to shrink', async () => {
    const answer = await patch(await bound({ size: '2Gi' }), asking('1Gi'))
    expect([answer.status, meaning(answer)]).toEqual([422, 'would-shrink'])
    expect(answer.body['message']).toContain('field can not be less than previous value')
  })

  test('takes the same size in another unit', async () => {
    expect((await patch(await bound({ size: '1Gi' }), asking('1024Mi'))).status).toBe(200)
  })

  test.each([
    ['4.5Gi', '4608Mi'],
    [4294967296, '4294967296'],
  ])('stores %j as %j', async (given, stored) => {
    const name = await bound()
    expect((await patch(name, asking(given as string))).status).toBe(200)
    expect((await real.objects.sizes(name)).request).toBe(stored)
  })

  test('refuses a quantity that is none', async () => {
    const { status, body } = await patch(await bound(), asking('3GB'))
    expect(status).toBeGreaterThanOrEqual(400)
    expect(body['message']).toContain('quantities must match the regular expression')
  })

  test('refuses a version that is stale, and a uid that is another one', async () => {
    const name = await bound()
    const stale = await patch(name, { metadata: { resourceVersion: '1' }, ...asking('2Gi') })
    expect(stale.status).toBe(409)
    const other = { metadata: { uid: '00000000-0000-4000-8000-000000000000' }, ...asking('2Gi') }
    const refused = await patch(name, other)
    expect([refused.status, meaning(refused)]).toEqual([422, 'identity-mismatch'])
  })

  test('does not take a patch for plain JSON', async () => {
    expect((await patch(await bound(), asking('2Gi'), { type: patchTypes.json })).status).toBe(415)
  })

  test('only pretends when it is asked to, and tells the truth then', async () => {
    const name = await bound()
    expect((await patch(name, asking('2Gi'), { query: '?dryRun=All' })).status).toBe(200)
    expect((await real.objects.sizes(name)).request).toBe('1Gi')
    expect((await patch(await bound({ storageClass: 'fixed' }), asking('2Gi'), { query: '?dryRun=All' })).status).toBe(
      403,
    )
  })

  test('counts requests against the quota, also when it only pretends', async () => {
    const name = await bound()
    await real.objects.quota(name.namespace, 'storage', '3Gi')
    for (const query of ['?dryRun=All', '']) {
      const answer = await patch(name, asking('4Gi'), { query })
      expect([answer.status, meaning(answer)]).toEqual([403, 'quota-exceeded'])
      expect(answer.body['message']).toContain('exceeded quota: storage, requested: requests.storage=3Gi')
    }
  })

  test('holds a claim to the LimitRange', async () => {
    const name = await bound()
    await real.objects.limitRange(name.namespace, 'sizes', '8Gi')
    const answer = await patch(name, asking('9Gi'))
    expect([answer.status, meaning(answer)]).toEqual([403, 'limit-exceeded'])
    expect(answer.body['message']).toContain(
      'maximum storage usage per PersistentVolumeClaim is 8Gi, but request is 9Gi',
    )
  })

  test('lets a PersistentVolume be raised and lowered: nothing guards it', async () => {
    const name = await bound()
    const volume = volumePath(`pv-${name.namespace}-data`)
    for (const storage of ['5Gi', '1Gi']) {
      const { status } = await real.objects.api.send(
        'PATCH',
        volume,
        { spec: { capacity: { storage } } },
        patchTypes.merge,
      )
      expect([status, (await real.objects.sizes(name)).volume]).toEqual([200, storage])
    }
  })

  test('merges conditions by type in a strategic patch, and replaces the list in a merge patch', async () => {
    const name = await bound()
    const first = { type: 'Resizing', status: 'True' }
    const second = { type: 'FileSystemResizePending', status: 'True' }
    const types = async (): Promise<unknown> =>
      ((await real.objects.status(name))['conditions'] as { readonly type: string }[]).map(({ type }) => type).sort()
    await real.objects.setStatus(name, { conditions: [first] })
    await real.objects.setStatus(name, { conditions: [second] })
    expect(await types()).toEqual(['FileSystemResizePending', 'Resizing'])
    await real.objects.api.patch(`${claimPath(name)}/status`, { status: { conditions: [first] } })
    expect(await types()).toEqual(['Resizing'])
  })

  test('makes an empty condition of the deletion of one that is not there', async () => {
    const name = await bound()
    await real.objects.setStatus(name, { conditions: [{ type: 'Resizing', $patch: 'delete' }] })
    expect((await real.objects.status(name))['conditions']).toMatchObject([{ type: 'Resizing', status: '' }])
  })

  test('ignores, without a word, what is sent to the wrong resource', async () => {
    const name = await bound()
    await real.objects.api.patch(`${claimPath(name)}/status`, asking('2Gi'))
    await real.objects.api.patch(claimPath(name), { status: { capacity: { storage: '2Gi' } } })
    expect(await real.objects.sizes(name)).toEqual({ request: '1Gi', capacity: '1Gi', volume: '1Gi' })
  })

  test('drops the fields of a status that it does not know', async () => {
    const name = await bound()
    await real.objects.setStatus(name, { allocatedResourceStatuses: { storage: 'NodeResizePending' } })
    expect((await real.objects.status(name))['allocatedResourceStatuses']).toBeUndefined()
  })

  test('never lets the claim templates of a StatefulSet be changed', async () => {
    const { namespace } = await real.fresh()
    await real.objects.namespacedWorkload('statefulsets', namespace, 'shop', {
      ...{ replicas: 0, serviceName: 'shop', selector: { matchLabels: { app: 'shop' } } },
      template: { metadata: { labels: { app: 'shop' } }, spec: { containers: [{ name: 'main', image: 'none' }] } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], ...(asking('1Gi') as { spec: object }).spec },
        },
      ],
    })
    const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/shop`
    const volumeClaimTemplates = [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], ...(asking('2Gi') as { spec: object }).spec },
      },
    ]
    const answer = await real.objects.api.send('PATCH', path, { spec: { volumeClaimTemplates } }, patchTypes.merge)
    expect(answer.status).toBe(422)
  })
})
