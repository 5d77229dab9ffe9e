import { type AsyncApi, type ChannelObject, type MessageObject, type Reference } from './asyncapi.js';
import { constraintsOf } from './constraints.js';
import { html, type Html, prose } from './html.js';
import { type JsonSchema, typesOf } from './json-schema.js';
import { securitySchemes } from './servers.js';

/**
 * Renders the AsyncAPI document as a page without scripts and inline styles, which a strict Content Security Policy allows. Links are
 * relative to `/docs/events`.
 */
export function eventPage(document: AsyncApi): string {
  const { info, channels, components } = document;
  const topics = Object.entries(channels);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${info.title} ${info.version}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="events/style.css" />
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header>
          <h1>${info.title} <span class="version">${info.version}</span></h1>
          <p>${prose(info.description)}</p>
          <p class="links">
            <a href="events/asyncapi.json">AsyncAPI ${document.asyncapi} document</a> <a href="../docs">HTTP API</a>
          </p>
        </header>
        <nav aria-label="Contents">
          <ul>
            <li><a href="#connect">Connect</a></li>
            <li><a href="#format">Format of a message</a></li>
            ${topics.map(([id, channel]) => contentsOf(id, channel, components.messages))}
          </ul>
        </nav>
        <main id="content">
          ${connecting(document)} ${format(components.messages)}
          ${topics.map(([id, channel]) => topicSection(id, channel, document))}
        </main>
      </body>
    </html> `.text;
}

/** `#/components/messages/OrderPlaced.v1` → `OrderPlaced.v1`. */
const nameOf = ({ $ref }: Reference) => $ref.replace(/.*\//, '');

function contentsOf(id: string, { address, messages }: ChannelObject, all: AsyncApi['components']['messages']): Html {
  const items = Object.keys(messages).map((name) => html`<li><a href="#${name}">${all[name]?.title}</a></li>`);
  return html`<li>
    <a href="#${id}">Topic <code>${address}</code></a>
    <ul>
      ${items}
    </ul>
  </li>`;
}

function connecting({ servers, operations, channels }: AsyncApi): Html {
  const schemes = Object.values(securitySchemes).map(({ description }) => html`<li>${description}</li>`);
  const rows = Object.values(operations).map(
    ({ title, summary, channel }) =>
      html`<li>
        <strong>${title}.</strong> ${summary} <a href="#${nameOf(channel)}">${channels[nameOf(channel)]?.address}</a>
      </li>`,
  );
  return html`<section aria-labelledby="connect">
    <h2 id="connect">Connect</h2>
    <dl class="facts">
      ${Object.values(servers).map(
        ({ title, description }) =>
          html`<dt>${title}</dt>
            <dd>${prose(description)}</dd>`,
      )}
    </dl>
    <p>A broker with TLS may require one of these:</p>
    <ul>
      ${schemes}
    </ul>
    <h3>Who publishes and who consumes</h3>
    <ul>
      ${rows}
    </ul>
  </section>`;
}

function format(messages: AsyncApi['components']['messages']): Html {
  const [message] = Object.values(messages);
  if (!message) return html``;
  return html`<section aria-labelledby="format">
    <h2 id="format">Format of a message</h2>
    <p>The <strong>key</strong> is text. ${prose(message.bindings.kafka.key.description ?? '')}</p>
    <p>The <strong>value</strong> is JSON in UTF-8 that satisfies the schema of its event.</p>
    <p>
      The <strong>headers</strong> are text in UTF-8. The constants below are those of <code>${message.name}</code>.
    </p>
    ${fields(message.headers)}
  </section>`;
}

function topicSection(id: string, channel: ChannelObject, { components }: AsyncApi): Html {
  const { partitions, topicConfiguration } = channel.bindings.kafka;
  const days = topicConfiguration['retention.ms'] / 86_400_000;
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">Topic <code>${channel.address}</code></h2>
    <p>${prose(channel.description)}</p>
    <dl class="facts">
      <dt>Partitions</dt>
      <dd>${partitions}</dd>
      <dt>Retention</dt>
      <dd>${days} days</dd>
    </dl>
    ${Object.values(channel.messages).map((reference) => messageSection(nameOf(reference), components))}
  </section>`;
}

function messageSection(name: string, { messages, schemas }: AsyncApi['components']): Html {
  const message = messages[name] as MessageObject;
  const schema = schemas[name] as JsonSchema;
  return html`<section class="message" aria-labelledby="${name}">
    <h3 id="${name}">${message.title}</h3>
    <p>${prose(message.summary)}</p>
    <dl class="facts">
      <dt>ce_type</dt>
      <dd><code>${message.name}</code></dd>
      <dt>ce_dataschema</dt>
      <dd><code>${schema.$id}</code>, <a href="events/schemas/${name}.json">JSON Schema</a></dd>
    </dl>
    <h4>Fields</h4>
    ${fields(schema)}
    <details>
      <summary>Example</summary>
      <pre
        tabindex="0"
        aria-label="Example of ${message.title}"
      ><code>${JSON.stringify(schema.examples?.[0], undefined, 2)}</code></pre>
    </details>
  </section>`;
}

/** Lists the properties of an object, and those of the objects in it. */
function fields({ properties = {}, required = [] }: JsonSchema): Html {
  const entries = Object.entries(properties).map(([name, field]) => {
    const isRequired = required.includes(name);
    const nested = field.properties ? field : field.items?.properties ? field.items : undefined;
    return html`<div>
      <dt>
        <code>${name}</code>
        <span class="type">${typeName(field)}</span> ${isRequired ? html`<span class="required">required</span>` : ''}
      </dt>
      <dd>
        ${prose(field.description ?? '')}${constraintsOf(field).map((text) => html` <span class="rule">${prose(text)}</span>`)}${nested ? fields(nested) : ''}
      </dd>
    </div>`;
  });
  return html`<dl class="fields">${entries}</dl>`;
}

function typeName(field: JsonSchema): string {
  const types = typesOf(field).filter((type) => type !== 'null');
  const name = types.includes('array') && field.items ? `array of ${typeName(field.items)}` : types.join(' or ');
  return typesOf(field).includes('null') ? `${name} or null` : name;
}
