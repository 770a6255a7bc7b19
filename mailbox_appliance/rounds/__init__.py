"""Make durable: commit rounds, between a message that is whole and the 250 that promises it is kept.

``rounds`` collects what waits and leads it through the steps, ``share`` is what a worker thread does with its part,
``disk`` the file-system operations, apart so that tests can record their order and make them fail.
"""
