# One image for both services, their relays, the console and the one-shot jobs (migrations, topics, demo data). The command selects what runs.
FROM node:24.21.0-bookworm-slim AS base
WORKDIR /app

# Collects the files of all workspaces that npm ci reads, without a list to maintain. The caches of the next stages depend on them only.
FROM base AS manifests
COPY . /src
RUN cd /src && mkdir /manifests \
 && cp package-lock.json .npmrc /manifests/ \
 && find . -name package.json -not -path '*/node_modules/*' -exec cp --parents -t /manifests {} +

FROM base AS build
COPY --from=manifests /manifests ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
# Copies only what is needed at run time: no sources, types or source maps; the event contracts and the pages of the console, which are served; of the tools, only what provisions topics and demo data.
RUN npm run build && mkdir /built \
 && find apps libs migrations \( -path '*/node_modules' -o -path '*/test' \) -prune -o \( -path '*/dist/*.js' -o -path 'apps/cli/bin/*.js' -o -path 'apps/console/dist/web/*' -type f -o -name package.json -o -path 'libs/contracts/events/*' -not -path '*/released/*' -type f \) -exec cp --parents -t /built {} + \
 && cp --parents -t /built package.json tools/package.json tools/dist/provisioning/*.js

# The OpenID provider for trying out AUTH_MODE=jwt. It has the development dependencies, and is not part of the production image.
FROM build AS identity-provider
ENV NODE_OPTIONS=--max-old-space-size=128
USER node
EXPOSE 8090
CMD ["node", "tools/dist/identity-provider/main.js"]

FROM base AS production-dependencies
COPY --from=manifests /manifests ./
# No production dependency needs its install script. Types, source maps, TypeORM's browser build, the TypeScript compiler (an optional
# peer of @nestjs/swagger, for its build plugin) and the Node of a checkout are not used at run time. They take 210 of 280 MB.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/typescript node_modules/.bin/tsc node_modules/.bin/tsserver node_modules/typeorm/browser \
           node_modules/node-linux-* node_modules/.bin/node \
 && find . -path '*/node_modules/*' -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
# What the image contains, and under which licences. With --omit=dev, npm sbom would also leave out production packages that development
# needs too, so the development dependencies are deleted first.
RUN npm pkg delete devDependencies --workspaces --include-workspace-root && npm sbom --sbom-format=cyclonedx > sbom.cdx.json \
 && find . -path '*/node_modules/*' -type f -regextype egrep -iregex '.*/(licen[cs]e|copying|notice)[^/]*' -not -iregex '.*\.[cm]?js' | sort \
  | while read -r file; do printf '=== %s\n\n' "$file"; cat "$file"; printf '\n\n'; done > THIRD-PARTY-NOTICES.txt

FROM base
# Strict settings by default; docker-compose.yml overrides this with development.
ENV NODE_ENV=production
# The heap limit of a service. The memory limit of the container should be twice as high. A flag of the command takes precedence.
ENV NODE_OPTIONS=--max-old-space-size=256
COPY --from=production-dependencies /app ./
COPY --from=build /built ./
RUN ln -s /app/apps/cli/bin/twinbox.js /usr/local/bin/twinbox
USER node
EXPOSE 8080 8081 8082 50051 50052
CMD ["node", "--import", "@twinbox/api-kit/telemetry", "apps/order-service/dist/main.js"]
