// Messages between the processes of a job, through OpenMPI.
//
// The library is loaded when a launcher has started the process, and only then: linked, it would keep the
// tools from starting where it is not installed, and cost every start some milliseconds where it is. No
// header of MPI is needed to build: what is used of OpenMPI's binary interface, the same from version 2
// to 5, stands in CMPI.c, and a test holds it against mpi.h where there is one.
//
// All calls come from one thread. Functions that return false have lost another process, or the library
// refuses to work.
#pragma once
#include <stdbool.h>
#include <stddef.h>

/// Whether a launcher (mpirun, srun --mpi=pmix) has started this process as one of several.
bool cmpi_is_launched(void);

/// Joins the other processes. False, with a message, where that fails.
bool cmpi_start(int *rank, int *size, char *message, size_t capacity);

/// Hands `count` bytes of each process to all, in the order of their ranks.
bool cmpi_gather(const void *sent, void *received, int count);

/// Hands bytes of one process to all.
bool cmpi_broadcast(void *bytes, int count, int root);

/// Sends bytes to another process and receives those that it sends at the same time.
bool cmpi_exchange(
    const void *sent, int sent_count, void *received, int received_count, int peer);

/// Leaves the others: waits until all do.
void cmpi_finish(void);

/// Ends all processes at once with an exit code.
void cmpi_abort(int code);
