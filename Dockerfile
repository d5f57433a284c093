# One static binary and the certificates that it needs to reach registries and
# buckets. There is no shell in the image: `docker run IMAGE version` and so on.
FROM golang:1.26.8@sha256:6c2a5538f964f1c82f97ad14988bf05de100d922d159d0e398b54c7b0ca0c6c9 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -tags=disable_grpc_modules -ldflags='-s -w' -o /out/slipway ./cmd/slipway \
	&& mkdir /out/data && mkdir -m 1777 /out/tmp /out/dags

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/slipway /usr/bin/slipway
COPY --from=build /out/tmp /tmp
# A new volume here is one that an agent may write to, as whoever it runs.
COPY --from=build /out/dags /dags
COPY --from=build --chown=65532:65532 /out/data /data
ENV PATH=/usr/bin SLIPWAY_DATA=/data SLIPWAY_LISTEN=:8888
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8888
ENTRYPOINT ["/usr/bin/slipway"]
CMD ["serve"]
