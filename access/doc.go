// Package access says who may ask the daemon over HTTP: by a certificate that is read again when it changes, and by a [Gate] that asks the API server whose token a
// request carries (TokenReview) and whether they may get the path (SubjectAccessReview). Both are off unless a flag wants them.
package access
