# An image of your own whose program runs under brs-exec. As PID 1 brs-exec forwards
# signals, reaps zombies and passes the exit code on: no tini is needed.
ARG BRS_EXEC=registry.example.com/brs-exec:1
ARG BASE=scratch
FROM ${BRS_EXEC} AS brs-exec

FROM ${BASE}
COPY --from=brs-exec /usr/bin/brs-exec /usr/bin/brs-exec
# The certificates to know AWS by, for a base that has none, as scratch. The run directory
# needs no place here: container runtimes give a /dev/shm, which is memory.
COPY --from=brs-exec /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
ENV PATH=/usr/local/bin:/usr/bin:/bin

COPY app /usr/local/bin/app
USER 65532:65532
ENTRYPOINT ["brs-exec", "--role-arn", "arn:aws:iam::123456789012:role/App", "--"]
CMD ["app"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=1m CMD ["brs-exec", "status", "--ready"]
