// Command kube-apiserver is the API server of Kubernetes, for the tests that talk to a real one.
package main

import (
	"os"
	_ "time/tzdata" // CronJob validation knows time zones on machines without tzdata too.

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
