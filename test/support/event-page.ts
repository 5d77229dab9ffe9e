import { caller } from './http.js';

/** Tests that a service serves the contracts of the events. */
export function testEventPage(url: () => string): void {
  it('has a page with the events, whose links all lead somewhere', async () => {
    const anyone = caller(url(), {});

    const page = await anyone.get('/docs/events');
    const links = [...String(page.body).matchAll(/ href="((?!data:)[^"#]+)"/g)].map(([, link = '']) => link);
    const statuses = await Promise.all(
      links.map(async (link) => (await anyone.get(new URL(link, `${url()}/docs/events`).pathname)).status),
    );

    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('>OrderPlaced, version 1<') });
    expect(links).toEqual(expect.arrayContaining(['events/style.css', 'events/asyncapi.json']));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
}
