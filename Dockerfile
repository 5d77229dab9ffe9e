# syntax=docker/dockerfile:1
# One image for both services, their relays and the one-shot jobs (migrations, topics, demo data): the command tells them apart.
ARG NODE_TAG=24-bookworm-slim
FROM node:${NODE_TAG} AS base
WORKDIR /app

# Only what npm ci reads, of every workspace, without a list to maintain here. The next stages are cached by its content.
FROM base AS manifests
COPY . /src
RUN cd /src && mkdir /manifests \
 && cp package-lock.json .npmrc /manifests/ \
 && find . -name package.json -not -path '*/node_modules/*' -exec cp --parents -t /manifests {} +

FROM base AS build
COPY --from=manifests /manifests ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
# What runs of it: neither sources, nor types, nor maps. Of the tools, only the maker of the demo orders.
RUN npm run build && mkdir /built \
 && find apps libs migrations -path '*/node_modules' -prune -o \( -path '*/dist/*.js' -o -name package.json \) -exec cp --parents -t /built {} + \
 && cp --parents -t /built package.json tools/package.json tools/dist/demo.js

FROM base AS production-dependencies
COPY --from=manifests /manifests ./
# None of them needs its install script. Nothing that runs reads types, maps, TypeORM's build for browsers, or the compiler that
# @nestjs/swagger names as an optional peer for its build plugin: 100 of 170 MB.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/typescript node_modules/.bin/tsc node_modules/.bin/tsserver node_modules/typeorm/browser \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM base
# Whoever runs the image elsewhere gets the strict settings; docker-compose.yml says development.
ENV NODE_ENV=production
# The heap of a service. A container's limit should be twice as high; a flag of a command takes precedence.
ENV NODE_OPTIONS=--max-old-space-size=256
COPY --from=production-dependencies /app ./
COPY --from=build /built ./
USER node
EXPOSE 8081 8082
CMD ["node", "apps/order-service/dist/main.js"]
