#include "CMPI.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// OpenMPI's binary interface, as far as it is used. With CMPI_CHECK the compiler compares it with mpi.h.
#ifdef CMPI_CHECK
#include <mpi.h>
_Static_assert(OMPI_MAJOR_VERSION >= 2, "the interface of OpenMPI 2 and later");
_Static_assert(MPI_THREAD_FUNNELED == 1, "MPI_THREAD_FUNNELED");
_Static_assert(MPI_SUCCESS == 0, "MPI_SUCCESS");
_Static_assert(MPI_STATUS_IGNORE == (MPI_Status *)0, "MPI_STATUS_IGNORE");
#else
enum { MPI_SUCCESS = 0, MPI_THREAD_FUNNELED = 1 };
#define MPI_STATUS_IGNORE NULL
#endif
typedef struct ompi_communicator_t *MPI_Comm;
typedef struct ompi_datatype_t *MPI_Datatype;
typedef struct ompi_errhandler_t *MPI_Errhandler;
typedef struct ompi_status_public_t MPI_Status;
int MPI_Init_thread(int *, char ***, int, int *);
int MPI_Comm_rank(MPI_Comm, int *);
int MPI_Comm_size(MPI_Comm, int *);
int MPI_Comm_set_errhandler(MPI_Comm, MPI_Errhandler);
int MPI_Allgather(const void *, int, MPI_Datatype, void *, int, MPI_Datatype, MPI_Comm);
int MPI_Bcast(void *, int, MPI_Datatype, int, MPI_Comm);
int MPI_Sendrecv(
    const void *, int, MPI_Datatype, int, int, void *, int, MPI_Datatype, int, int, MPI_Comm,
    MPI_Status *);
int MPI_Finalize(void);
int MPI_Abort(MPI_Comm, int);

// The functions and the objects that the handles of mpi.h point at.
static struct {
#define FUNCTION(name) __typeof__(&MPI_##name) name;
#define FUNCTIONS                                                                          \
  FUNCTION(Init_thread) FUNCTION(Comm_rank) FUNCTION(Comm_size) FUNCTION(Comm_set_errhandler) \
  FUNCTION(Allgather) FUNCTION(Bcast) FUNCTION(Sendrecv) FUNCTION(Finalize) FUNCTION(Abort)
  FUNCTIONS
#undef FUNCTION
  MPI_Comm world;
  MPI_Datatype byte;
  MPI_Errhandler errors_return;
} mpi;

static long number(const char *variable) {
  const char *text = getenv(variable);
  return text ? strtol(text, NULL, 10) : 0;
}

/// Processes of the job as the launcher's variables have it; 0 where there are none.
static long launched(void) {
  // mpirun of OpenMPI; then launchers of MPICH's kind.
  long size = number("OMPI_COMM_WORLD_SIZE");
  return size ? size : number("PMI_SIZE");
}

bool cmpi_is_launched(void) {
  // Slurm tells a process its rank, and the library the rest.
  return launched() > 1 || (!launched() && getenv("PMIX_RANK"));
}

static bool load(char *message, size_t capacity) {
  // Its plug-ins look for its symbols.
  void *handle = dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    snprintf(message, capacity, "%s", dlerror());
    return false;
  }
#define FIND(member, symbol)                                        \
  *(void **)&mpi.member = dlsym(handle, symbol);                    \
  if (!mpi.member) {                                                \
    snprintf(message, capacity, "libmpi.so.40 has no %s", symbol);  \
    return false;                                                   \
  }
#define FUNCTION(name) FIND(name, "MPI_" #name)
  FUNCTIONS
  FIND(world, "ompi_mpi_comm_world")
  FIND(byte, "ompi_mpi_byte")
  FIND(errors_return, "ompi_mpi_errors_return")
  return true;
}

bool cmpi_start(int *rank, int *size, char *message, size_t capacity) {
  if (!load(message, capacity)) return false;
  int given;
  if (mpi.Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS ||
      mpi.Comm_set_errhandler(mpi.world, mpi.errors_return) != MPI_SUCCESS ||
      mpi.Comm_rank(mpi.world, rank) != MPI_SUCCESS || mpi.Comm_size(mpi.world, size) != MPI_SUCCESS) {
    snprintf(message, capacity, "OpenMPI cannot be initialised");
    return false;
  }
  if (*size < launched()) {
    mpi.Finalize();
    snprintf(
        message, capacity, "the launcher has started %ld processes, OpenMPI knows of %d", launched(), *size);
    return false;
  }
  return true;
}

bool cmpi_gather(const void *sent, void *received, int count) {
  return mpi.Allgather(sent, count, mpi.byte, received, count, mpi.byte, mpi.world) == MPI_SUCCESS;
}

bool cmpi_broadcast(void *bytes, int count, int root) {
  return mpi.Bcast(bytes, count, mpi.byte, root, mpi.world) == MPI_SUCCESS;
}

bool cmpi_exchange(
    const void *sent, int sent_count, void *received, int received_count, int peer) {
  return mpi.Sendrecv(
             sent, sent_count, mpi.byte, peer, 0, received, received_count, mpi.byte, peer, 0,
             mpi.world, MPI_STATUS_IGNORE) == MPI_SUCCESS;
}

void cmpi_finish(void) { mpi.Finalize(); }

void cmpi_abort(int code) { mpi.Abort(mpi.world, code); }
