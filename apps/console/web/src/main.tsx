import './shell/styles.js';
import { createRoot } from 'react-dom/client';
import { App } from './shell/app.js';

const root = document.querySelector('#root');
if (root) createRoot(root).render(<App />);
