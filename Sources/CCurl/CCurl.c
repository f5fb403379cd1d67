#include "CCurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// Declared by hand: curl.h makes macros of the names.
static struct {
  CURLcode (*global_init)(long);
  CURL *(*easy_init)(void);
  void (*easy_reset)(CURL *);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_perform)(CURL *);
  void (*easy_cleanup)(CURL *);
  const char *(*easy_strerror)(CURLcode);
  struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
  void (*slist_free_all)(struct curl_slist *);
} library;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char problem[256];

static void load(void) {
  // The same interface, built with OpenSSL or with GnuTLS.
  void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(problem, sizeof problem, "%s", dlerror());
    handle = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
  }
  if (!handle) return;
#define FIND(name)                                                        \
  *(void **)&library.name = dlsym(handle, "curl_" #name);                 \
  if (!library.name) {                                                    \
    snprintf(problem, sizeof problem, "libcurl has no curl_%s", #name);   \
    return;                                                               \
  }
  FIND(global_init)
  FIND(easy_init)
  FIND(easy_reset)
  FIND(easy_setopt)
  FIND(easy_perform)
  FIND(easy_cleanup)
  FIND(easy_strerror)
  FIND(slist_append)
  FIND(slist_free_all)
#undef FIND
  CURLcode code = library.global_init(CURL_GLOBAL_DEFAULT);
  snprintf(problem, sizeof problem, "%s", code == CURLE_OK ? "" : library.easy_strerror(code));
}

ccurl_session *ccurl_open(char *message, size_t capacity) {
  pthread_once(&once, load);
  CURL *curl = problem[0] ? NULL : library.easy_init();
  if (!curl) snprintf(message, capacity, "%s", problem[0] ? problem : "out of memory");
  return (ccurl_session *)curl;
}

void ccurl_close(ccurl_session *session) {
  if (session) library.easy_cleanup((CURL *)session);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *data) {
  const ccurl_request *request = data;
  return request->on_header(request->context, bytes, size * count) ? size * count : 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data) {
  const ccurl_request *request = data;
  return request->on_body(request->context, bytes, size * count) ? size * count : 0;
}

static int take_progress(
    void *data, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now) {
  (void)total, (void)now, (void)upload_total, (void)upload_now;
  const ccurl_request *request = data;
  return request->goes_on(request->context) ? 0 : 1;
}

ccurl_outcome ccurl_perform(
    ccurl_session *session, const ccurl_request *request, char *message, size_t capacity) {
  CURL *curl = (CURL *)session;
  char error[CURL_ERROR_SIZE] = "";
  struct curl_slist *headers = NULL;
  for (size_t index = 0; index < request->header_count; index++) {
    struct curl_slist *longer = library.slist_append(headers, request->headers[index]);
    if (!longer) {
      library.slist_free_all(headers);
      snprintf(message, capacity, "out of memory");
      return CCURL_BROKEN;
    }
    headers = longer;
  }
  // Options go, open connections stay.
  library.easy_reset(curl);
#define SET(option, value)                                                      \
  if (code == CURLE_OK) code = library.easy_setopt(curl, CURLOPT_##option, value)
  CURLcode code = CURLE_OK;
  SET(URL, request->url);
  SET(HTTPHEADER, headers);
  if (request->is_head) SET(NOBODY, 1L);
  if (request->certificates) SET(CAINFO, request->certificates);
  SET(NOSIGNAL, 1L);
  SET(SUPPRESS_CONNECT_HEADERS, 1L);
  SET(HEADERFUNCTION, take_header);
  SET(HEADERDATA, request);
  SET(WRITEFUNCTION, take_body);
  SET(WRITEDATA, request);
  SET(XFERINFOFUNCTION, take_progress);
  SET(XFERINFODATA, request);
  SET(NOPROGRESS, 0L);
  SET(ERRORBUFFER, error);
#undef SET
  if (code == CURLE_OK) code = library.easy_perform(curl);
  library.slist_free_all(headers);
  library.easy_reset(curl);
  snprintf(message, capacity, "%s", error[0] ? error : library.easy_strerror(code));
  switch (code) {
    case CURLE_OK: return CCURL_ANSWERED;
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK: return CCURL_STOPPED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return CCURL_UNTRUSTED;
    default: return CCURL_BROKEN;
  }
}
