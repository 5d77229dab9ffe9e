// The package has no types for the adapter that it uses by default, with a warning that nothing is stored on disk.
declare module 'oidc-provider/lib/adapters/memory_adapter.js' {
  import { type AdapterFactory } from 'oidc-provider';

  export function createMemoryAdapter(): AdapterFactory;
}
