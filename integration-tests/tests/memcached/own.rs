//! A store of a caller's own, on whose connection its thread waits.

use stickystore_integration_tests::owned;
use stickystore_integration_tests::proxy::Proxy;

use crate::bench::{server, store, through};

#[tokio::test]
async fn it_answers_where_there_is_no_runtime() {
    let Some(server) = server(&[]) else { return };
    owned::answers_without_a_runtime(&store(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_answers_are_whole_in_whatever_pieces_they_come() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    owned::long_answers_are_whole(&through(proxy.port()), &proxy).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_timeout_and_the_end_of_it() {
    let Some(mut server) = server(&[]) else { return };
    owned::a_server_that_does_not_answer(&store(&server.url()), &mut server).await;
}

#[tokio::test]
async fn it_is_not_ready_once_its_server_has_gone() {
    let Some(mut server) = server(&[]) else { return };
    owned::is_not_ready_without_its_server(&store(&server.url()), &mut server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_goes_unnoticed() {
    let Some(mut server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    owned::on_a_thread(|| owned::a_restart_goes_unnoticed(&through(proxy.port()), &proxy, &mut server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_have_their_own_answers_while_connections_end() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    owned::on_a_thread(|| owned::many_callers_whose_connections_end(&through(proxy.port()), &proxy));
}
