# The image of a node: the static binary and nothing else. Build the binary first (make build), or all of it with
# make image. Certificates are not needed: nodes know each other by their keys, and the cluster's authority comes
# with the service account.
FROM scratch
COPY --chmod=0755 bin/mesh /mesh
USER 65532:65532
ENTRYPOINT ["/mesh"]
