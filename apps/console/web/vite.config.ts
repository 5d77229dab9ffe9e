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
    target: ['chrome120', 'firefox121', 'safari17'],
    // A page with a strict Content-Security-Policy loads no fonts or images from data URLs that are styles or scripts.
    assetsInlineLimit: 0,
    // The polyfill would be an inline script.
    modulePreload: { polyfill: false },
  },
});
