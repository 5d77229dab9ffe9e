import { setNonce } from 'get-nonce';

const element = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]');

/** The nonce with which the Content-Security-Policy allows the styles that Mantine adds to the page. */
export const styleNonce = element?.nonce ?? '';

// The scroll lock of dialogs adds a style of its own.
setNonce(styleNonce);
