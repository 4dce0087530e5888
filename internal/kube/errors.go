package kube

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reasonOf names the problem behind an error of a request; otherwise is for those that are no matter of access.
func reasonOf(err error, otherwise string) string {
	var dial *net.OpError
	var request *url.Error
	switch {
	case errors.Is(err, errNotServed):
		return ReasonTypeNotServed
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return ReasonForbidden
	case errors.As(err, &dial), errors.As(err, &request), errors.Is(err, context.DeadlineExceeded),
		apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err):
		return ReasonAPIServerUnreachable
	}
	return otherwise
}

// unchangeable reports whether an update was refused because of a field that can't be changed once it is set.
func unchangeable(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if strings.Contains(cause.Message, "immutable") || cause.Type == metav1.CauseTypeForbidden {
			return true
		}
	}
	return false
}

// namespaceMissing reports whether a creation failed for want of its namespace.
func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}

// quiet words an answer of the API server without what it quotes of the object: a validation error may show the
// value of a field, and the object may be a Secret.
func quiet(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		return err.Error()
	}
	d := status.Status().Details
	if d == nil || len(d.Causes) == 0 {
		return "the API server finds it invalid"
	}
	var parts []string
	for _, c := range d.Causes[:min(len(d.Causes), 3)] {
		msg := c.Message
		if c.Type == metav1.CauseTypeFieldValueInvalid || c.Type == metav1.CauseTypeFieldValueNotSupported || c.Type == metav1.CauseTypeTypeInvalid {
			msg = unquoteValue(msg)
		}
		parts = append(parts, c.Field+": "+msg)
	}
	return "the API server finds it invalid: " + strings.Join(parts, "; ")
}

// unquoteValue drops the value from "Invalid value: VALUE: reason".
func unquoteValue(msg string) string {
	head, rest, ok := strings.Cut(msg, ": ")
	if !ok {
		return msg
	}
	if i := strings.LastIndex(rest, ": "); i >= 0 {
		return head + ": " + rest[i+2:]
	}
	return head
}
