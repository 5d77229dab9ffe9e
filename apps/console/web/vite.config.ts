import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // The sources of our libraries, so that the pages can be built before the libraries are.
  resolve: { conditions: ['@twinbox/source', ...defaultClientConditions] },
  // The server replaces it by a nonce in each answer.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // They have light-dark(), whose replacement for older ones does not know Mantine's color scheme.
    target: ['chrome123', 'firefox121', 'safari17.5'],
    // A page with a strict Content-Security-Policy loads no fonts or images from data URLs that are styles or scripts.
    assetsInlineLimit: 0,
    // The polyfill would be an inline script.
    modulePreload: { polyfill: false },
  },
});
