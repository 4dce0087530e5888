// Package kube lets a Kubernetes cluster be the cluster of a node: watches in, requests out.
package kube
