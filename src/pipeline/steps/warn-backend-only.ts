import { defineStep, type Step } from '../step.ts'

/** Says in the plan and the report that nothing on a host was looked at. */
export function warnBackendOnly(): Step<object, object, object> {
  return defineStep<object, object, object>({
    name: 'no host',
    plan: () => ({
      findings: [
        {
          code: 'backend-only',
          severity: 'note',
          layer: 'host',
          message: 'No host was given: the device, the layers and the filesystem were neither looked at nor grown.',
          remedy: 'Give the `host` that uses the volume.',
        },
      ],
    }),
  })
}
