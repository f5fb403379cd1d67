// HTTP requests through libcurl, which is loaded when the first session is opened: linked, it and the
// thirty libraries that it needs would add a third to the start of every tool that names a model.
#pragma once
#include <stdbool.h>
#include <stddef.h>

/// A connection that requests can share; one thread at a time.
typedef struct ccurl_session ccurl_session;

/// How a request ended.
typedef enum {
  /// With an answer, whatever its status.
  CCURL_ANSWERED,
  /// By a callback.
  CCURL_STOPPED,
  /// The server's certificate is not to be trusted.
  CCURL_UNTRUSTED,
  /// There was no connection, or it broke.
  CCURL_BROKEN
} ccurl_outcome;

/// A request. Redirects are not followed.
typedef struct {
  const char *url;
  /// "Name: value" each.
  const char *const *headers;
  size_t header_count;
  /// HEAD instead of GET.
  bool is_head;
  /// A file of certificates to trust; NULL for the library's own.
  const char *certificates;
  void *context;
  /// A line of the answer's head, from the status line to the empty one.
  bool (*on_header)(void *context, const char *line, size_t count);
  /// Bytes of the answer's body.
  bool (*on_body)(void *context, const char *bytes, size_t count);
  /// Called about once a second, or more often: whether to go on.
  bool (*goes_on)(void *context);
} ccurl_request;

/// Opens a session; NULL, with a message, when libcurl is not installed.
ccurl_session *ccurl_open(char *message, size_t capacity);

/// Frees a session; NULL is allowed.
void ccurl_close(ccurl_session *session);

/// Sends a request and hands the answer to its callbacks; each may end it by returning false.
ccurl_outcome ccurl_perform(
    ccurl_session *session, const ccurl_request *request, char *message, size_t capacity);
