import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { Notices } from './notices.js';
import { styleNonce } from './nonce.js';
import { createQueryClient } from './query-client.js';
import { createConsoleRouter } from './router.js';
import { cssVariables, theme } from './theme.js';

const queries = createQueryClient();
const router = createConsoleRouter(queries);

/** The console. */
export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      defaultColorScheme="auto"
      getStyleNonce={() => styleNonce}
    >
      <QueryClientProvider client={queries}>
        <Notices />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
